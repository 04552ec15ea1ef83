#ifndef LARIAT_MPI_MODULE_H
#define LARIAT_MPI_MODULE_H

#include <stddef.h>

/* What lariat asks of an MPI: one shared object for each, compiled by that MPI's mpicc, loaded where a process was
   started by it. Functions that may fail give a negative number, and `fault` says why. */

#ifdef __cplusplus
extern "C" {
#endif

enum { LARIAT_MPI_VERSION = 1 };

struct lariat_mpi {
  int version;
  /* Starts MPI where the program has not, and takes a communicator of its own. */
  int (*start)(void);
  int (*rank)(void);
  int (*size)(void);
  /* Whether several threads may make calls, one at a time. */
  int (*any_thread)(void);
  const char* (*name)(void);
  const char* (*fault)(void);
  /* Give the number of a request, from 1. `from` is -1 for anyone. */
  long (*send)(int to, int tag, const void* data, int bytes);
  long (*receive)(int from, int tag, void* data, int bytes);
  /* 1: over, and its number free. */
  int (*over)(long request);
  /* The MPI's own sum over all ranks, in place, to compare with. */
  int (*all_reduce)(float* data, int count);
  /* In order: all ranks do the same. Ends MPI where start() started it. */
  void (*end)(int in_order);
};

const struct lariat_mpi* lariat_mpi_module(void);

#ifdef __cplusplus
}
#endif

#endif
