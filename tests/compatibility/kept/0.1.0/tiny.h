/* tiny, compiled by cnncc for x86-64-v2.
 *
 * input x: input float32[1, 1, 6, 6]
 * output y: output float32[1, 3]
 *
 * All arrays are dense and in this order of axes. run() takes any number of images.
 *
 * This header, the code and the weights belong together: take all from the same `cnncc compile`. A call has the number
 * of the header that it was written with, TINY_FINGERPRINT, and the weights begin with theirs. With another header
 * or other weights run() returns CNNCC_WRONG_FINGERPRINT and touches no memory.
 */
#ifndef CNNCC_TINY_H
#define CNNCC_TINY_H

#include <stddef.h>
#include <stdint.h>

#ifndef CNNCC_ABI
#define CNNCC_ABI 2
typedef struct {
    uint32_t abi;                  /* CNNCC_ABI */
    uint32_t fingerprint;          /* NAME_FINGERPRINT: header, code and weights belong together */
    uint32_t apart;                /* 0: shards end together; 1: they return one by one, and the caller waits for all */
    uint32_t images;               /* N of this call */
    uint32_t shard;                /* 0 without threads; else see NAME_run */
    uint32_t shards;               /* 1 without threads */
    const void *const *inputs;     /* one pointer an input, in order */
    void *const *outputs;          /* one pointer an output, in order, then one to the states, if any, which programs may share; must not overlap */
    void *workspace;               /* aligned to NAME_ALIGNMENT bytes, zeroed once before its first call, one call at a time */
    const void *weights;           /* aligned to NAME_ALIGNMENT bytes */
    void (*wait)(void *);          /* what a shard calls while it waits for another; null spins */
    void *wait_argument;           /* what it is given */
} cnncc_call;
enum {
    CNNCC_OK = 0,
    CNNCC_WRONG_ABI = 1, /* the code has another ABI version than the call */
    CNNCC_NULL_POINTER = 2, /* a pointer is null */
    CNNCC_MISALIGNED = 3, /* workspace, weights or states are not aligned to NAME_ALIGNMENT bytes */
    CNNCC_WRONG_IMAGES = 4, /* this number of images is not possible */
    CNNCC_WRONG_SHARDS = 5, /* shard or number of shards out of range */
    CNNCC_OUT_OF_BOUNDS = 6, /* an access left its bounds */
    CNNCC_WRONG_FINGERPRINT = 7, /* header, code and weights are not of one compilation */
};
#elif CNNCC_ABI != 2
#error "this header needs version 2 of the cnncc ABI"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define TINY_FINGERPRINT 1055997219
#define TINY_IMAGES 1
#define TINY_INPUT_SIZE 36
#define TINY_OUTPUT_SIZE 3
#define TINY_ALIGNMENT 64 /* of workspace, weights and states */
#define TINY_WORKSPACE_BYTES 448 /* one shard */
#define TINY_STACK_BYTES 352 /* at most, of a call of run, without that of wait() */
#define TINY_WEIGHTS_BYTES 1408
#define TINY_CODE_BYTES 2879

/* The weights, an object of their own: link it, or hand run() a copy from elsewhere. */
extern const unsigned char tiny_weights[];

/* 0, or an error code. Allocates nothing, changes nothing global.
 *
 * With threads a call is made of `shards` calls of run, one for each number `shard`, all at the same time and alike in
 * everything else. They end together: when one of them returns, all have done their part, so outputs may be read and
 * inputs be changed. A shard of the next call may begin as soon as the inputs of that call are there. With `apart` set
 * to 1 they return one by one: then the caller has to wait for all of them before it does any of this.
 */
int tiny_run(const cnncc_call *call);

/* The size of a workspace for that many shards; 0 for a number of shards that is not possible. */
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
    call.fingerprint = TINY_FINGERPRINT;
    call.apart = 0;
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
