/* Calls of the emulator, or of a debugger (Arm, Semihosting for AArch32 and AArch64, 2.0). A board that runs without
 * either stops at the first one: there, write print for a serial port, and let finish loop. */
#include <stdint.h>

#include "firmware-io.h"

enum { SYS_WRITE0 = 0x04, SYS_EXIT = 0x18, STOPPED_BY_ERROR = 0x20023, STOPPED_AT_END = 0x20026 };

static void call(uint32_t number, uintptr_t argument)
{
    register uint32_t r0 __asm("r0") = number;
    register uintptr_t r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

void print(const char *text)
{
    call(SYS_WRITE0, (uintptr_t)text);
}

void finish(int code)
{
    for (;;)
        call(SYS_EXIT, code ? STOPPED_BY_ERROR : STOPPED_AT_END);
}
