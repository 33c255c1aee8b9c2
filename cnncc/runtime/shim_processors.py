"""The shim's text: workers that leave the processor of the thread that calls (see `shim_text.py`).

Two threads that wait for each other at every barrier may share a processor for seconds while another one is idle:
each gives the processor to the other as soon as it has to wait, and to the system neither looks as if it lacked one.
A step of training then takes twice as long. So each worker looks where the caller runs.
"""

TEXT = r"""
; How often in a row a worker met its caller on the processor that both run on, this generation included. The second
; time it moves to another one: the first may be a moment at which all are busy.
define internal i32 @keep_apart(ptr %session, i32 %met) nounwind {
  %own = call i32 @sched_getcpu()
  %callers = load SessionStruct.processor of %session
  %same = icmp eq i32 %own, %callers
  %known = icmp ult i32 %own, $most_processors
  %together = and i1 %same, %known
  br i1 %together, label %again, label %apart
again:
  %once = icmp eq i32 %met, 0
  br i1 %once, label %first, label %move
first:
  ret i32 1
move:
  call void @move_away(i32 %own)
  br label %apart
apart:
  ret i32 0
}

; Move this thread to any other processor that it may run on; the set of these stays as it was. If there is no other,
; the system refuses.
define internal void @move_away(i32 %processor) nounwind {
  %allowed = alloca [$set_bytes x i8], align 8
  %others = alloca [$set_bytes x i8], align 8
  %failed = call i32 @sched_getaffinity(i32 0, i64 $set_bytes, ptr %allowed)
  %failed.too = call i32 @sched_getaffinity(i32 0, i64 $set_bytes, ptr %others)
  %worst = or i32 %failed, %failed.too
  %fine = icmp eq i32 %worst, 0
  br i1 %fine, label %go, label %out
go:
  %byte = lshr i32 %processor, 3
  %place = getelementptr i8, ptr %others, i32 %byte
  %bits = load i8, ptr %place
  %number = trunc i32 %processor to i8
  %low = and i8 %number, 7
  %bit = shl i8 1, %low
  %mask = xor i8 %bit, -1
  %cleared = and i8 %bits, %mask
  store i8 %cleared, ptr %place
  %moved = call i32 @sched_setaffinity(i32 0, i64 $set_bytes, ptr %others)
  %back = call i32 @sched_setaffinity(i32 0, i64 $set_bytes, ptr %allowed)
  br label %out
out:
  ret void
}
"""

IMPORTS = ("sched_getcpu", "sched_getaffinity", "sched_setaffinity")
DECLARATIONS = """
declare i32 @sched_getcpu()
declare i32 @sched_getaffinity(i32, i64, ptr)
declare i32 @sched_setaffinity(i32, i64, ptr)
"""
UNKNOWN = """
define internal i32 @sched_getcpu() nounwind {
  ret i32 -1
}
define internal i32 @sched_getaffinity(i32 %thread, i64 %size, ptr %set) nounwind {
  ret i32 -1
}
define internal i32 @sched_setaffinity(i32 %thread, i64 %size, ptr %set) nounwind {
  ret i32 -1
}
"""
"""The same functions for systems that do not tell where a thread runs: workers stay where they are."""
