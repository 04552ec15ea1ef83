/* Runs the self-test of an exported model, -DMODEL=name, on the board, and prints every answer by its bits, with the
   instructions that it took where QEMU counts them as time (-icount shift=0: one a nanosecond). */
#include <stdint.h>

#define JOINED(a, b) a##b
#define NAMED(a, b) JOINED(a, b)

extern const int32_t NAMED(MODEL, _vectors);
extern float NAMED(MODEL, _result)[];
int NAMED(MODEL, _test_vector)(int32_t vector);
int32_t NAMED(MODEL, _result_size)(int32_t vector);

void say(const char *text);
extern volatile uint32_t wraps;

int main(void);

static void say_number(uint32_t number, uint32_t base, int digits) {
  char text[12];
  int at = 11;
  text[at] = 0;
  do {
    const uint32_t digit = number % base;
    text[--at] = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
    number /= base;
  } while (number > 0 || 11 - at < digits);
  say(text + at);
}

#define SYSTICK ((volatile uint32_t *)0xe000e010)
#define NANOSECONDS 40 /* of a tick: the board's clock is of 25 MHz */

/* Since the start, in thousands. */
static uint32_t instructions(void) {
  uint32_t before, ticks;
  do {
    before = wraps;
    ticks = 0xffffff - SYSTICK[2];
  } while (before != wraps);
  return (uint32_t)(((uint64_t)before * 0x1000000 + ticks) * NANOSECONDS / 1000);
}

int main(void) {
  int32_t vector, i;
  int wrong = 0;
  SYSTICK[1] = 0xffffff;
  SYSTICK[2] = 0;
  SYSTICK[0] = 7;
  while (SYSTICK[2] == 0) continue; /* until it has begun to count down */
  for (vector = 0; vector < NAMED(MODEL, _vectors); ++vector) {
    const uint32_t start = instructions();
    const int same = NAMED(MODEL, _test_vector)(vector);
    const uint32_t taken = instructions() - start;
    wrong += !same;
    say(same ? "same" : "differs");
    say(" ");
    say_number(taken, 10, 1);
    for (i = 0; i < NAMED(MODEL, _result_size)(vector); ++i) {
      union { float value; uint32_t bits; } number;
      number.value = NAMED(MODEL, _result)[i];
      say(" ");
      say_number(number.bits, 16, 8);
    }
    say("\n");
  }
  return wrong;
}
