/* tiny, compiled by cnncc for x86-64-v2.
 *
 * input x: input float32[1, 1, 6, 6]
 * output y: output float32[1, 3]
 *
 * All arrays are dense and in this order of axes. run() takes any number of images.
 *
 * This header, the code and the weights belong together: take all from the same `cnncc compile`. With an object of
 * other options the workspace may be too small; tiny_workspace_bytes(1) == TINY_WORKSPACE_BYTES, asked once at
 * the start of the program, finds most such mistakes.
 */
#ifndef CNNCC_TINY_H
#define CNNCC_TINY_H

#include <stddef.h>
#include <stdint.h>

#ifndef CNNCC_ABI
#define CNNCC_ABI 1
typedef struct {
    uint32_t abi;                  /* CNNCC_ABI */
    uint32_t images;               /* N of this call */
    uint32_t shard;                /* 0 without threads; else see NAME_run */
    uint32_t shards;               /* 1 without threads */
    const void *const *inputs;     /* one pointer an input, in order */
    void *const *outputs;          /* one pointer an output, in order, then one to the states if there are any; must not overlap */
    void *workspace;               /* aligned to 64 bytes, zeroed once before its first call, one call at a time */
    const void *weights;           /* aligned to 64 bytes */
    void (*wait)(void *);          /* what a shard calls while it waits for another; null spins */
    void *wait_argument;           /* what it is given */
} cnncc_call;
enum {
    CNNCC_OK = 0,
    CNNCC_WRONG_ABI = 1, /* the code has another ABI version than the call */
    CNNCC_NULL_POINTER = 2, /* a pointer is null */
    CNNCC_MISALIGNED = 3, /* workspace, weights or states are not aligned to 64 bytes */
    CNNCC_WRONG_IMAGES = 4, /* this number of images is not possible */
    CNNCC_WRONG_SHARDS = 5, /* shard or number of shards out of range */
    CNNCC_OUT_OF_BOUNDS = 6, /* an access left its bounds */
};
#elif CNNCC_ABI != 1
#error "this header needs version 1 of the cnncc ABI"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define TINY_IMAGES 1
#define TINY_INPUT_SIZE 36
#define TINY_OUTPUT_SIZE 3
#define TINY_WORKSPACE_BYTES 448 /* one shard */
#define TINY_WEIGHTS_BYTES 1344

/* The weights, an object of their own: link it, or hand run() a copy from elsewhere. */
extern const unsigned char tiny_weights[];

/* 0, or an error code. Allocates nothing, changes nothing global.
 *
 * With threads a call is made of `shards` calls of run, one for each number `shard`, all at the same time and alike in
 * everything else. A shard may return before the others have: only when ALL shards of a call have returned may outputs
 * be read, inputs be changed, and any shard of the next call on this workspace begin. Without a barrier between two
 * calls results are wrong, with code 0. So each thread does, with a barrier for all of them:
 *
 *     for (;;) {
 *         pthread_barrier_wait(&barrier);    all have returned; one thread now takes outputs and gives inputs
 *         pthread_barrier_wait(&barrier);
 *         code = tiny_run(&call);       call.shard is the thread's own
 *     }
 */
int tiny_run(const cnncc_call *call);

/* The size of a workspace for that many shards. */
size_t tiny_workspace_bytes(uint32_t shards);

/* 0 if this processor can run the code; run() does not ask. */
int tiny_check(void);

/* The simple case: TINY_IMAGES image(s), one thread, the linked weights. */
static inline int tiny_infer(const float *x, float *y, void *workspace)
{
    const void *inputs[1];
    void *outputs[1];
    cnncc_call call;
    inputs[0] = x;
    outputs[0] = y;
    call.abi = CNNCC_ABI;
    call.images = TINY_IMAGES;
    call.shard = 0;
    call.shards = 1;
    call.inputs = inputs;
    call.outputs = outputs;
    call.workspace = workspace;
    call.weights = tiny_weights;
    call.wait = NULL;
    call.wait_argument = NULL;
    return tiny_run(&call);
}

#ifdef __cplusplus
}
#endif
#endif
