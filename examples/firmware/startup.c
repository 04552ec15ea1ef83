/* Where a Cortex-M4 begins, and semihosting by which it speaks through the debugger, or through QEMU:
   for the board mps2-an386 and, with other addresses in an386.ld, for others. */
#include <stdint.h>

extern uint32_t data_begin, data_end, data_in_flash, bss_begin, bss_end, stack_top;

int main(void);
void reset(void);
void tick(void);
void say(const char *text);
void leave(int status);

volatile uint32_t wraps; /* of the system timer */

static int32_t ask_host(int32_t operation, const void *argument) {
  register int32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

void say(const char *text) { ask_host(0x04, text); }

void leave(int status) {
  const uint32_t reason[2] = {0x20026, (uint32_t)status}; /* the application ends, with this status */
  ask_host(0x20, reason);
  for (;;) {
  }
}

void tick(void) { ++wraps; }

static void stop(void) { leave(2); }

/* Switches the floating-point unit on before anything runs whose first instructions save its registers: the reset
   handler itself must not, so it has no floating-point code and calls what has. */
__attribute__((naked)) void reset(void) {
  __asm__ volatile(
      "ldr r0, =0xe000ed88\n" /* CPACR: full access to coprocessors 10 and 11 */
      "ldr r1, [r0]\n"
      "orr r1, r1, #0xf00000\n"
      "str r1, [r0]\n"
      "dsb\n"
      "isb\n"
      "b begin\n");
}

void begin(void);
void begin(void) {
  uint32_t *from = &data_in_flash, *to;
  for (to = &data_begin; to < &data_end;) *to++ = *from++;
  for (to = &bss_begin; to < &bss_end;) *to++ = 0;
  leave(main());
}

typedef void (*handler)(void);

__attribute__((section(".vectors"), used)) const handler vectors[16] = {
    (handler)&stack_top, reset, stop, stop, stop, stop, stop, 0, 0, 0, 0, stop, stop, 0, stop, tick};
