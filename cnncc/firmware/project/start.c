/* What runs before main: the vector table, and what the processor does after reset. */
#include <stdint.h>

#include "firmware-io.h"

/* Of board.ld. */
extern uint32_t stack_end[], data_source[], data_start[], data_end[], bss_start[], bss_end[],
    placed_start[], placed_end[];

int main(void);

static void fault(void)
{
    print("fault\n");
    finish(1);
}

/* Global, since board.ld names it. */
void reset(void)
{
#ifdef __ARM_FP
    /* The floating-point unit is off after reset: CPACR gives access to coprocessors 10 and 11. */
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
    __asm volatile("dsb\n\tisb" ::: "memory");
#endif
    /* Volatile, so that the compiler makes no calls of memcpy and memset of it: there is no C library. */
    const uint32_t *source = data_source;
    for (volatile uint32_t *word = data_start; word < data_end; word++)
        *word = *source++;
    for (volatile uint32_t *word = bss_start; word < bss_end; word++)
        *word = 0;
    for (volatile uint32_t *word = placed_start; word < placed_end; word++)
        *word = 0;
    finish(main());
}

/* Behind these stand the interrupts of a device, which this project leaves switched off. */
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} vectors = {
    stack_end,
    {reset, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault},
};
