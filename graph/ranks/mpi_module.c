#include "mpi_module.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static MPI_Comm own = MPI_COMM_NULL;
static int started_here, level;
static char what_failed[MPI_MAX_ERROR_STRING + 64], version_text[MPI_MAX_LIBRARY_VERSION_STRING];
static MPI_Request* requests;
static char* receives;
static long room;

static int failed(const char* call, int code) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (code == MPI_SUCCESS) return 0;
  int class = MPI_SUCCESS;
  MPI_Error_class(code, &class);
  if (class == MPI_ERR_TRUNCATE) {
    snprintf(what_failed, sizeof what_failed, "a message is larger than was expected");
    return 1;
  }
  MPI_Error_string(code, text, &length);
  snprintf(what_failed, sizeof what_failed, "%s: %.*s", call, length, text);
  for (char* at = what_failed; *at; ++at)
    if (*at == '\n') *at = ' ';
  return 1;
}

static int start(void) {
  int initialised = 0;
  MPI_Initialized(&initialised);
  if (!initialised) {
    if (failed("MPI_Init_thread", MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level))) return -1;
    started_here = 1;
    /* What belongs to no communicator, as a request does. */
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  } else {
    MPI_Query_thread(&level);
  }
  if (failed("MPI_Comm_dup", MPI_Comm_dup(MPI_COMM_WORLD, &own))) return -1;
  MPI_Comm_set_errhandler(own, MPI_ERRORS_RETURN);
  return 0;
}

static int rank(void) {
  int number = 0;
  MPI_Comm_rank(own, &number);
  return number;
}

static int size(void) {
  int number = 0;
  MPI_Comm_size(own, &number);
  return number;
}

static int any_thread(void) { return level >= MPI_THREAD_SERIALIZED; }

static const char* name(void) {
  int length = 0;
  MPI_Get_library_version(version_text, &length);
  /* Its first line, or part of one. */
  version_text[strcspn(version_text, ",\n")] = 0;
  for (char* at = version_text; *at; ++at)
    if (*at == '\t') *at = ' ';
  return version_text;
}

static const char* fault(void) { return what_failed; }

static long free_request(void) {
  for (long i = 0; i < room; ++i)
    if (requests[i] == MPI_REQUEST_NULL) return i;
  long more = room == 0 ? 64 : 2 * room;
  MPI_Request* larger = realloc(requests, (size_t)more * sizeof *larger);
  if (larger) requests = larger;
  char* flags = realloc(receives, (size_t)more);
  if (flags) receives = flags;
  if (!larger || !flags) {
    snprintf(what_failed, sizeof what_failed, "there is no memory for %ld messages", more);
    return -1;
  }
  for (long i = room; i < more; ++i) requests[i] = MPI_REQUEST_NULL;
  long first = room;
  room = more;
  return first;
}

static long send_to(int to, int tag, const void* data, int bytes) {
  long place = free_request();
  if (place >= 0) receives[place] = 0;
  if (place < 0 || failed("MPI_Isend", MPI_Isend(data, bytes, MPI_BYTE, to, tag, own, &requests[place]))) return -1;
  return place + 1;
}

static long receive_from(int from, int tag, void* data, int bytes) {
  long place = free_request();
  int source = from < 0 ? MPI_ANY_SOURCE : from;
  if (place >= 0) receives[place] = 1;
  if (place < 0 || failed("MPI_Irecv", MPI_Irecv(data, bytes, MPI_BYTE, source, tag, own, &requests[place]))) return -1;
  return place + 1;
}

static int over(long request) {
  int done = 0;
  if (failed("MPI_Test", MPI_Test(&requests[request - 1], &done, MPI_STATUS_IGNORE))) return -1;
  return done;
}

static int all_reduce(float* data, int count) {
  return failed("MPI_Allreduce", MPI_Allreduce(MPI_IN_PLACE, data, count, MPI_FLOAT, MPI_SUM, own)) ? -1 : 0;
}

static void end(int in_order) {
  if (!in_order) return;
  for (long i = 0; i < room; ++i)
    if (requests[i] != MPI_REQUEST_NULL) {
      if (receives[i]) MPI_Cancel(&requests[i]);
      MPI_Request_free(&requests[i]);
    }
  MPI_Comm_free(&own);
  if (started_here) MPI_Finalize();
}

static const struct lariat_mpi module = {LARIAT_MPI_VERSION, start, rank, size, any_thread, name, fault,
                                         send_to, receive_from, over, all_reduce, end};

__attribute__((visibility("default"))) const struct lariat_mpi* lariat_mpi_module(void) { return &module; }
