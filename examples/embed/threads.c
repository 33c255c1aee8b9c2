/* Threads that stay: a pool whose members compute a shard each of every call. A program in C11 for POSIX threads.
 *
 *     cnncc compile examples/digits.py -o build
 *     cc -std=c11 -O2 -pthread -Ibuild examples/embed/threads.c build/libdigits.a -o build/threads
 *     build/threads
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digits.h"

enum { SHARDS = 2, IMAGES = 4, CALLS = 50 };

/* The calls of a pool. All fields change under the lock only. */
struct pool {
    pthread_mutex_t lock;
    pthread_cond_t begun;
    cnncc_call call;
    unsigned number; /* of calls begun */
    int stop;
};

/* What a shard does while it waits for another: without it, it would spin on its processor. */
static void yield(void *argument)
{
    (void)argument;
    sched_yield();
}

struct member {
    struct pool *pool;
    uint32_t shard;
    pthread_t thread;
};

/* A member waits for the next call, takes a copy of it, and computes its shard. It returns with the others. */
static void *work(void *argument)
{
    struct member *member = argument;
    struct pool *pool = member->pool;
    unsigned done = 0;
    for (;;) {
        cnncc_call call;
        pthread_mutex_lock(&pool->lock);
        while (pool->number == done && !pool->stop)
            pthread_cond_wait(&pool->begun, &pool->lock);
        if (pool->stop) {
            pthread_mutex_unlock(&pool->lock);
            return NULL;
        }
        done = pool->number;
        call = pool->call;
        pthread_mutex_unlock(&pool->lock);
        call.shard = member->shard;
        digits_run(&call);
    }
}

/* One call by all members and this thread. All shards have done their part when it returns, with the code of each. */
static int run(struct pool *pool, uint32_t images, const void *const *inputs, void *const *outputs)
{
    cnncc_call call;
    pthread_mutex_lock(&pool->lock);
    pool->call.images = images;
    pool->call.inputs = inputs;
    pool->call.outputs = outputs;
    call = pool->call;
    pool->number++;
    pthread_cond_broadcast(&pool->begun);
    pthread_mutex_unlock(&pool->lock);
    return digits_run(&call); /* shard 0 */
}

static int equal_to_one_thread(struct pool *pool, unsigned char *memory, int number)
{
    static float x[IMAGES * DIGITS_INPUT_SIZE], y[IMAGES * DIGITS_OUTPUT_SIZE], alone[IMAGES * DIGITS_OUTPUT_SIZE];
    const void *inputs[] = {x};
    void *outputs[] = {y}, *others[] = {alone};
    cnncc_call call = pool->call;
    for (int i = 0; i < IMAGES * DIGITS_INPUT_SIZE; i++)
        x[i] = (float)((i * 37 + number) % 101) / 101;
    if (run(pool, IMAGES, inputs, outputs) != CNNCC_OK)
        return 0;
    call.images = IMAGES;
    call.shards = 1;
    call.inputs = inputs;
    call.outputs = others;
    call.workspace = memory;
    return digits_run(&call) == CNNCC_OK && memcmp(y, alone, sizeof y) == 0;
}

int main(void)
{
    struct pool pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .begun = PTHREAD_COND_INITIALIZER};
    struct member members[SHARDS];
    size_t bytes = (digits_workspace_bytes(SHARDS) + DIGITS_ALIGNMENT - 1) / DIGITS_ALIGNMENT * DIGITS_ALIGNMENT;
    unsigned char *shared = aligned_alloc(DIGITS_ALIGNMENT, bytes), *own = aligned_alloc(DIGITS_ALIGNMENT, bytes);
    int same = 0;
    if (shared == NULL || own == NULL || digits_check() != 0)
        return 1;
    memset(shared, 0, bytes); /* once, before the first call */
    memset(own, 0, bytes);
    pool.call.abi = CNNCC_ABI;
    pool.call.fingerprint = DIGITS_FINGERPRINT;
    pool.call.shards = SHARDS;
    pool.call.workspace = shared;
    pool.call.weights = digits_weights;
    pool.call.wait = yield;
    for (uint32_t shard = 1; shard < SHARDS; shard++) {
        members[shard].pool = &pool;
        members[shard].shard = shard;
        if (pthread_create(&members[shard].thread, NULL, work, &members[shard]) != 0)
            return 2;
    }
    for (int number = 0; number < CALLS; number++)
        same += equal_to_one_thread(&pool, own, number);
    pthread_mutex_lock(&pool.lock);
    pool.stop = 1;
    pthread_cond_broadcast(&pool.begun);
    pthread_mutex_unlock(&pool.lock);
    for (uint32_t shard = 1; shard < SHARDS; shard++)
        pthread_join(members[shard].thread, NULL);
    printf("%d calls of %d images by %d threads: %d with the bits of one thread\n", CALLS, IMAGES, SHARDS, same);
    free(shared);
    free(own);
    return same == CALLS ? 0 : 3;
}
