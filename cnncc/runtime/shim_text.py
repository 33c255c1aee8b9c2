"""The LLVM text of the shim, the only native code that knows Python: see `shim.py` for what it is used for.

Read it with `layout.py` beside it, which holds the same structures for ctypes. Status codes are those of the ABI, or
negative: `-1` something is not standard, `-2` the session is busy, `-3` its workers have not been started.
"""

from __future__ import annotations

from string import Template

PAUSE = {"x86-64": ("@llvm.x86.sse2.pause", ""), "aarch64": ("@llvm.aarch64.hint", "i32 1")}

_TEXT = Template(r"""
%Buffer  = type { ptr, ptr, i64, i64, i32, i32, ptr, ptr, ptr, ptr, ptr } ; Py_buffer
%Call    = type { i32, i32, i32, i32, ptr, ptr, ptr, ptr, ptr, ptr }      ; cnncc_call
%Port    = type { i64, ptr, i16, i16 }                                    ; rank, dimensions, letter, alignment - 1
%Worker  = type { i32, i32, ptr, [48 x i8] }                              ; asleep, shard, lock
%Session = type { ptr, ptr, i32, i32, i32, i32, i64, i64, [16 x i8],      ; run, workers, started, stop, fault, trials,
                                                                          ; ticks of an image with one shard, with all
                  i32, [60 x i8], i32, [60 x i8], i32, [60 x i8],         ; busy, generation, done: a cache line each
                  %Call }
%Record  = type { ptr, ptr, ptr, ptr, ptr, ptr, ptr, i32, i32, i32, i32 } ; session, inputs, outputs, ports, allocate,
                                                                          ; result, fallback, images, n_in, n_out, -
%Seat    = type { ptr, ptr }                                              ; session, worker

declare ptr  @PyByteArray_AsString(ptr)
declare i32  @PyObject_GetBuffer(ptr, ptr, i32)
declare void @PyBuffer_Release(ptr)
declare void @PyErr_Clear()
declare ptr  @PyObject_CallNoArgs(ptr)
declare i64  @PyTuple_Size(ptr)
declare ptr  @PyTuple_GetItem(ptr, i64)
declare ptr  @PyLong_FromLong(i64)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr  @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare i32  @PyThread_acquire_lock(ptr, i32)
declare void @PyThread_release_lock(ptr)
declare i32  @sched_yield()
declare i64  @llvm.readcyclecounter()
declare void $pause($hint_type)
@python_none = external global i8

; ---- one call of the code object ---------------------------------------------------------------------------------

; What a shard does while it waits: pause, and every 64th time let another thread have the processor, so that more
; threads than processors are slow and not stuck.
define void @cnncc_wait(ptr %count) nounwind {
  call void $pause($hint)
  %old = load i32, ptr %count
  %new = add i32 %old, 1
  store i32 %new, ptr %count
  %low = and i32 %new, 63
  %often = icmp eq i32 %low, 0
  br i1 %often, label %give, label %done
give:
  %ignored = call i32 @sched_yield()
  br label %done
done:
  ret void
}

; Run one of the shards of the session's current call.
define internal i32 @shard(ptr %session, i32 %index, i32 %shards) nounwind {
  %call = alloca %Call
  %spins = alloca i32
  store i32 0, ptr %spins
  %current.p = getelementptr %Session, ptr %session, i32 0, i32 15
  %current = load %Call, ptr %current.p
  %indexed = insertvalue %Call %current, i32 %index, 2
  %shared = insertvalue %Call %indexed, i32 %shards, 3
  %complete = insertvalue %Call %shared, ptr %spins, 9
  store %Call %complete, ptr %call
  %run = load ptr, ptr %session
  %code = call i32 %run(ptr %call)
  ret i32 %code
}

; How many shards run the next call: all that the session has if they were measured to be faster than one by 3 %, else
; one. It is measured in the first of every so many calls, so that a machine whose cores are far from each other, or
; busy with something else, costs no more than the trials: some calls with all, then some with one, since after a
; change each core has the other's data to fetch. `trials` counts down; 0xffffffff: all, always.
define internal i32 @choose(ptr %session, i32 %shards) nounwind {
  %trials.p = getelementptr %Session, ptr %session, i32 0, i32 5
  %one.p = getelementptr %Session, ptr %session, i32 0, i32 6
  %all.p = getelementptr %Session, ptr %session, i32 0, i32 7
  %trials = load i32, ptr %trials.p
  %measured = icmp ne i32 %trials, -1
  %started.p = getelementptr %Session, ptr %session, i32 0, i32 2
  %started = load i32, ptr %started.p
  %ready = icmp ne i32 %started, 0
  %chooses = and i1 %measured, %ready
  br i1 %chooses, label %count, label %whole
count:
  %over = icmp eq i32 %trials, 0
  %left = sub i32 %trials, 1
  %next = select i1 %over, i32 $period, i32 %left
  store i32 %next, ptr %trials.p
  br i1 %over, label %begin, label %go
begin:
  store i64 -1, ptr %one.p
  store i64 -1, ptr %all.p
  br label %turns
go:
  %trial = icmp ugt i32 %next, $settled
  br i1 %trial, label %turns, label %settled
turns:
  %early = icmp ugt i32 %next, $half
  br i1 %early, label %whole, label %lone
settled:
  %one = load i64, ptr %one.p
  %all = load i64, ptr %all.p
  %margin = lshr i64 %one, 5
  %worth = sub i64 %one, %margin
  %slower = icmp ule i64 %worth, %all
  br i1 %slower, label %lone, label %whole
lone:
  ret i32 1
whole:
  ret i32 %shards
}

; Is the call at hand a trial?
define internal i1 @measured(ptr %session) nounwind {
  %trials.p = getelementptr %Session, ptr %session, i32 0, i32 5
  %trials = load i32, ptr %trials.p
  %place = sub i32 %trials, $first
  %trial = icmp ult i32 %place, $trials
  ret i1 %trial
}

; Remember the least ticks that an image took with this number of shards.
define internal void @remember(ptr %session, i32 %shards, i32 %images, i64 %ticks) nounwind {
  %single = icmp eq i32 %shards, 1
  %one.p = getelementptr %Session, ptr %session, i32 0, i32 6
  %all.p = getelementptr %Session, ptr %session, i32 0, i32 7
  %least.p = select i1 %single, ptr %one.p, ptr %all.p
  %least = load i64, ptr %least.p
  %none = icmp eq i32 %images, 0
  %some = select i1 %none, i32 1, i32 %images
  %count = zext i32 %some to i64
  %each = udiv i64 %ticks, %count
  %less = icmp ult i64 %each, %least
  %new = select i1 %less, i64 %each, i64 %least
  store i64 %new, ptr %least.p
  ret void
}

; Claim the session, run a call on its shards without the GIL, give the session back.
define internal i32 @run(ptr %session, i32 %images, ptr %inputs, ptr %outputs) nounwind {
  %busy = getelementptr %Session, ptr %session, i32 0, i32 9
  %claim = cmpxchg ptr %busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %claim, 1
  br i1 %mine, label %claimed, label %refused
refused:
  ret i32 -2
claimed:
  %shards.p = getelementptr %Session, ptr %session, i32 0, i32 15, i32 3
  %available = load i32, ptr %shards.p
  %shards = call i32 @choose(ptr %session, i32 %available)
  %many = icmp ugt i32 %shards, 1
  %started.p = getelementptr %Session, ptr %session, i32 0, i32 2
  %started = load i32, ptr %started.p
  %none = icmp eq i32 %started, 0
  %unready = and i1 %many, %none
  br i1 %unready, label %unstarted, label %go
unstarted:
  store atomic i32 0, ptr %busy release, align 4
  ret i32 -3
go:
  %images.p = getelementptr %Session, ptr %session, i32 0, i32 15, i32 1
  store i32 %images, ptr %images.p
  %inputs.p = getelementptr %Session, ptr %session, i32 0, i32 15, i32 4
  store ptr %inputs, ptr %inputs.p
  %outputs.p = getelementptr %Session, ptr %session, i32 0, i32 15, i32 5
  store ptr %outputs, ptr %outputs.p
  %fault.p = getelementptr %Session, ptr %session, i32 0, i32 4
  store atomic i32 0, ptr %fault.p monotonic, align 4
  %done.p = getelementptr %Session, ptr %session, i32 0, i32 13
  store atomic i32 0, ptr %done.p monotonic, align 4
  %thread = call ptr @PyEval_SaveThread()
  %measured = call i1 @measured(ptr %session)
  br i1 %measured, label %clock, label %ready
clock:
  %now = call i64 @llvm.readcyclecounter()
  br label %ready
ready:
  %before = phi i64 [ 0, %go ], [ %now, %clock ]
  br i1 %many, label %start, label %own
start:
  call void @wake(ptr %session)
  br label %own
own:
  %code = call i32 @shard(ptr %session, i32 0, i32 %shards)
  br i1 %many, label %meet, label %finish
meet:
  %others = sub i32 %shards, 1
  call void @await(ptr %done.p, i32 %others)
  br label %finish
finish:
  br i1 %measured, label %note, label %give
note:
  %after = call i64 @llvm.readcyclecounter()
  %ticks = sub i64 %after, %before
  call void @remember(ptr %session, i32 %shards, i32 %images, i64 %ticks)
  br label %give
give:
  %fault = load atomic i32, ptr %fault.p monotonic, align 4
  %fine = icmp eq i32 %code, 0
  %worst = select i1 %fine, i32 %fault, i32 %code
  store atomic i32 0, ptr %busy release, align 4
  call void @PyEval_RestoreThread(ptr %thread)
  ret i32 %worst
}

; ---- workers -----------------------------------------------------------------------------------------------------

define internal void @await(ptr %counter, i32 %wanted) nounwind {
  %spins = alloca i32
  store i32 0, ptr %spins
  br label %look
look:
  %value = load atomic i32, ptr %counter acquire, align 4
  %there = icmp eq i32 %value, %wanted
  br i1 %there, label %out, label %again
again:
  call void @cnncc_wait(ptr %spins)
  br label %look
out:
  ret void
}

; Begin a new generation, then release the lock of every worker that sleeps: whoever turns `asleep` from 1 to 0 owes
; (the caller) or spares (the worker) that one release.
define internal void @wake(ptr %session) nounwind {
  %generation = getelementptr %Session, ptr %session, i32 0, i32 11
  %before = atomicrmw add ptr %generation, i32 1 seq_cst
  %shards.p = getelementptr %Session, ptr %session, i32 0, i32 15, i32 3
  %shards = load i32, ptr %shards.p
  %others = sub i32 %shards, 1
  %workers.p = getelementptr %Session, ptr %session, i32 0, i32 1
  %workers = load ptr, ptr %workers.p
  br label %next
next:
  %i = phi i32 [ 0, %0 ], [ %i.after, %step ]
  %more = icmp ult i32 %i, %others
  br i1 %more, label %look, label %out
look:
  %worker = getelementptr %Worker, ptr %workers, i32 %i
  %claim = cmpxchg ptr %worker, i32 1, i32 0 seq_cst seq_cst
  %asleep = extractvalue { i32, i1 } %claim, 1
  br i1 %asleep, label %rouse, label %step
rouse:
  %lock.p = getelementptr %Worker, ptr %worker, i32 0, i32 2
  %lock = load ptr, ptr %lock.p
  call void @PyThread_release_lock(ptr %lock)
  br label %step
step:
  %i.after = add i32 %i, 1
  br label %next
out:
  ret void
}

; Wait until the generation is another than `seen`: spin a little, then sleep on the worker's lock. Whoever wakes up
; looks again: a caller that was slow to wake for a generation releases a worker that has already done its part of it.
define internal void @next_generation(ptr %generation, ptr %worker, i32 %seen) nounwind {
  br label %spin
spin:
  %spins = phi i32 [ 0, %0 ], [ %spins.after, %pause ], [ 0, %sleep ]
  %value = load atomic i32, ptr %generation acquire, align 4
  %new = icmp ne i32 %value, %seen
  br i1 %new, label %out, label %pause
pause:
  call void $pause($hint)
  %spins.after = add i32 %spins, 1
  %patient = icmp ult i32 %spins.after, $worker_spins
  br i1 %patient, label %spin, label %announce
announce:
  %before = atomicrmw xchg ptr %worker, i32 1 seq_cst
  %again = load atomic i32, ptr %generation seq_cst, align 4
  %late = icmp ne i32 %again, %seen
  br i1 %late, label %withdraw, label %sleep
withdraw:
  %claim = cmpxchg ptr %worker, i32 1, i32 0 seq_cst seq_cst
  %withdrawn = extractvalue { i32, i1 } %claim, 1
  br i1 %withdrawn, label %out, label %sleep
sleep:
  %lock.p = getelementptr %Worker, ptr %worker, i32 0, i32 2
  %lock = load ptr, ptr %lock.p
  %ignored = call i32 @PyThread_acquire_lock(ptr %lock, i32 1)
  br label %spin
out:
  ret void
}

; A worker's whole life (METH_NOARGS; self holds a %Seat): one shard of every generation until `stop`.
define ptr @cnncc_work(ptr %self, ptr %unused) nounwind {
  %seat = call ptr @PyByteArray_AsString(ptr %self)
  %session = load ptr, ptr %seat
  %worker.p = getelementptr %Seat, ptr %seat, i32 0, i32 1
  %worker = load ptr, ptr %worker.p
  %index.p = getelementptr %Worker, ptr %worker, i32 0, i32 1
  %index = load i32, ptr %index.p
  %generation = getelementptr %Session, ptr %session, i32 0, i32 11
  %shards.p = getelementptr %Session, ptr %session, i32 0, i32 15, i32 3
  %shards = load i32, ptr %shards.p
  %stop.p = getelementptr %Session, ptr %session, i32 0, i32 3
  %fault.p = getelementptr %Session, ptr %session, i32 0, i32 4
  %done.p = getelementptr %Session, ptr %session, i32 0, i32 13
  %thread = call ptr @PyEval_SaveThread()
  br label %next
next:
  %seen = phi i32 [ 0, %0 ], [ %seen.after, %finished ]
  call void @next_generation(ptr %generation, ptr %worker, i32 %seen)
  %seen.after = add i32 %seen, 1
  %stop = load atomic i32, ptr %stop.p acquire, align 4
  %go = icmp eq i32 %stop, 0
  br i1 %go, label %work, label %leave
work:
  %code = call i32 @shard(ptr %session, i32 %index, i32 %shards)
  %fine = icmp eq i32 %code, 0
  br i1 %fine, label %finished, label %failed
failed:
  store atomic i32 %code, ptr %fault.p monotonic, align 4
  br label %finished
finished:
  %before = atomicrmw add ptr %done.p, i32 1 release
  br label %next
leave:
  call void @PyEval_RestoreThread(ptr %thread)
  call void @Py_IncRef(ptr @python_none)
  ret ptr @python_none
}

; Claim the session for ever and send its workers home (METH_NOARGS; self holds a %Seat). False if it was busy.
define ptr @cnncc_stop(ptr %self, ptr %unused) nounwind {
  %seat = call ptr @PyByteArray_AsString(ptr %self)
  %session = load ptr, ptr %seat
  %busy = getelementptr %Session, ptr %session, i32 0, i32 9
  %claim = cmpxchg ptr %busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %claim, 1
  br i1 %mine, label %claimed, label %refused
claimed:
  %stop.p = getelementptr %Session, ptr %session, i32 0, i32 3
  store atomic i32 1, ptr %stop.p release, align 4
  call void @wake(ptr %session)
  br label %refused
refused:
  %answer = phi i64 [ 1, %claimed ], [ 0, %0 ]
  %number = call ptr @PyLong_FromLong(i64 %answer)
  ret ptr %number
}

; ---- calls from Python -------------------------------------------------------------------------------------------

; Does a buffer have the element type, alignment and exact shape of a port?
define internal i1 @fits(ptr %buffer, ptr %port) nounwind {
  %data = load ptr, ptr %buffer
  %crooked.p = getelementptr %Port, ptr %port, i32 0, i32 3
  %crooked = load i16, ptr %crooked.p
  %crooked64 = zext i16 %crooked to i64
  %address = ptrtoint ptr %data to i64
  %low = and i64 %address, %crooked64
  %aligned = icmp eq i64 %low, 0
  %format.p = getelementptr %Buffer, ptr %buffer, i32 0, i32 6
  %format = load ptr, ptr %format.p
  %untold = icmp eq ptr %format, null
  br i1 %untold, label %no, label %told
told:
  %letters = load i16, ptr %format, align 1
  %letter.p = getelementptr %Port, ptr %port, i32 0, i32 2
  %letter = load i16, ptr %letter.p
  %typed = icmp eq i16 %letters, %letter
  %rank.p = getelementptr %Buffer, ptr %buffer, i32 0, i32 5
  %rank32 = load i32, ptr %rank.p
  %rank = sext i32 %rank32 to i64
  %wanted = load i64, ptr %port
  %same = icmp eq i64 %rank, %wanted
  %formed = and i1 %aligned, %typed
  %plausible = and i1 %formed, %same
  br i1 %plausible, label %shape, label %no
shape:
  %dimensions.p = getelementptr %Buffer, ptr %buffer, i32 0, i32 7
  %dimensions = load ptr, ptr %dimensions.p
  %expected.p = getelementptr %Port, ptr %port, i32 0, i32 1
  %expected = load ptr, ptr %expected.p
  br label %axis
axis:
  %i = phi i64 [ 0, %shape ], [ %i.after, %equal ]
  %more = icmp ult i64 %i, %rank
  br i1 %more, label %compare, label %yes
compare:
  %a.p = getelementptr i64, ptr %dimensions, i64 %i
  %a = load i64, ptr %a.p
  %b.p = getelementptr i64, ptr %expected, i64 %i
  %b = load i64, ptr %b.p
  %ok = icmp eq i64 %a, %b
  br i1 %ok, label %equal, label %no
equal:
  %i.after = add i64 %i, 1
  br label %axis
yes:
  ret i1 true
no:
  ret i1 false
}

; Does buffer `last` share memory with one of the buffers before it?
define internal i1 @overlaps(ptr %buffers, i32 %last) nounwind {
  %mine = getelementptr %Buffer, ptr %buffers, i32 %last
  %start = load ptr, ptr %mine
  %length.p = getelementptr %Buffer, ptr %mine, i32 0, i32 2
  %length = load i64, ptr %length.p
  %end = getelementptr i8, ptr %start, i64 %length
  br label %next
next:
  %i = phi i32 [ 0, %0 ], [ %i.after, %apart ]
  %more = icmp ult i32 %i, %last
  br i1 %more, label %look, label %no
look:
  %other = getelementptr %Buffer, ptr %buffers, i32 %i
  %other.start = load ptr, ptr %other
  %other.length.p = getelementptr %Buffer, ptr %other, i32 0, i32 2
  %other.length = load i64, ptr %other.length.p
  %other.end = getelementptr i8, ptr %other.start, i64 %other.length
  %before = icmp ult ptr %other.start, %end
  %after = icmp ult ptr %start, %other.end
  %both = and i1 %before, %after
  br i1 %both, label %yes, label %apart
apart:
  %i.after = add i32 %i, 1
  br label %next
yes:
  ret i1 true
no:
  ret i1 false
}

; Take the buffers of inputs and outputs, run if all are standard, release them. Fresh outputs are right as they are:
; of them only the address is read, which NumPy's ABI has right behind the object's head.
define internal i32 @infer(ptr %record, ptr %inputs, ptr %outputs, i1 %fresh) nounwind {
  %n_in.p = getelementptr %Record, ptr %record, i32 0, i32 8
  %n_in = load i32, ptr %n_in.p
  %n_out.p = getelementptr %Record, ptr %record, i32 0, i32 9
  %n_out = load i32, ptr %n_out.p
  %n = add i32 %n_in, %n_out
  %n.checked = select i1 %fresh, i32 %n_in, i32 %n
  %ports.p = getelementptr %Record, ptr %record, i32 0, i32 3
  %ports = load ptr, ptr %ports.p
  %buffers = alloca %Buffer, i32 %n
  %pointers = alloca ptr, i32 %n
  br label %next
next:
  %i = phi i32 [ 0, %0 ], [ %i.after, %good ]
  %more = icmp ult i32 %i, %n.checked
  br i1 %more, label %take, label %rest
take:
  %is_input = icmp ult i32 %i, %n_in
  %j = sub i32 %i, %n_in
  %from = select i1 %is_input, ptr %inputs, ptr %outputs
  %k = select i1 %is_input, i32 %i, i32 %j
  %object.p = getelementptr ptr, ptr %from, i32 %k
  %object = load ptr, ptr %object.p
  %flags = select i1 %is_input, i32 $input_flags, i32 $output_flags
  %buffer = getelementptr %Buffer, ptr %buffers, i32 %i
  %error = call i32 @PyObject_GetBuffer(ptr %object, ptr %buffer, i32 %flags)
  %got = icmp eq i32 %error, 0
  br i1 %got, label %check, label %none
none:
  call void @PyErr_Clear()
  br label %release
check:
  %port = getelementptr %Port, ptr %ports, i32 %i
  %fits = call i1 @fits(ptr %buffer, ptr %port)
  %i.after = add i32 %i, 1
  br i1 %fits, label %distinct, label %release
distinct:
  br i1 %is_input, label %good, label %apart
apart:
  %overlaps = call i1 @overlaps(ptr %buffers, i32 %i)
  br i1 %overlaps, label %release, label %good
good:
  %data = load ptr, ptr %buffer
  %pointer.p = getelementptr ptr, ptr %pointers, i32 %i
  store ptr %data, ptr %pointer.p
  br label %next
rest:
  %f = phi i32 [ %n.checked, %next ], [ %f.after, %rest.one ]
  %unread = icmp ult i32 %f, %n
  br i1 %unread, label %rest.one, label %all
rest.one:
  %m = sub i32 %f, %n_in
  %array.p = getelementptr ptr, ptr %outputs, i32 %m
  %array = load ptr, ptr %array.p
  %fresh.data.p = getelementptr i8, ptr %array, i64 $array_data
  %fresh.data = load ptr, ptr %fresh.data.p
  %fresh.pointer.p = getelementptr ptr, ptr %pointers, i32 %f
  store ptr %fresh.data, ptr %fresh.pointer.p
  %f.after = add i32 %f, 1
  br label %rest
all:
  %session = load ptr, ptr %record
  %images.p = getelementptr %Record, ptr %record, i32 0, i32 7
  %images = load i32, ptr %images.p
  %results = getelementptr ptr, ptr %pointers, i32 %n_in
  %code = call i32 @run(ptr %session, i32 %images, ptr %pointers, ptr %results)
  br label %release
release:
  %taken = phi i32 [ %i, %none ], [ %i.after, %check ], [ %i.after, %apart ], [ %n.checked, %all ]
  %status = phi i32 [ -1, %none ], [ -1, %check ], [ -1, %apart ], [ %code, %all ]
  br label %release.next
release.next:
  %r = phi i32 [ 0, %release ], [ %r.after, %release.one ]
  %held = icmp ult i32 %r, %taken
  br i1 %held, label %release.one, label %out
release.one:
  %done = getelementptr %Buffer, ptr %buffers, i32 %r
  call void @PyBuffer_Release(ptr %done)
  %r.after = add i32 %r, 1
  br label %release.next
out:
  ret i32 %status
}

; The items of a tuple of exactly this length; false for anything else.
define internal i1 @items(ptr %tuple, i32 %wanted, ptr %objects) nounwind {
  %size = call i64 @PyTuple_Size(ptr %tuple)
  %size32 = trunc i64 %size to i32
  %right = icmp eq i32 %size32, %wanted
  br i1 %right, label %next, label %wrong
wrong:
  call void @PyErr_Clear()
  ret i1 false
next:
  %i = phi i32 [ 0, %0 ], [ %i.after, %item ]
  %more = icmp ult i32 %i, %wanted
  br i1 %more, label %item, label %done
item:
  %i64 = zext i32 %i to i64
  %object = call ptr @PyTuple_GetItem(ptr %tuple, i64 %i64)
  %object.p = getelementptr ptr, ptr %objects, i32 %i
  store ptr %object, ptr %object.p
  %i.after = add i32 %i, 1
  br label %next
done:
  ret i1 true
}

; (tuple of inputs, out or None) → the outputs, or None where the call is not standard (METH_FASTCALL; self holds a
; %Record). One output is an array, several are a tuple; fresh ones come from the record's `allocate`.
define ptr @cnncc_call(ptr %self, ptr %arguments, i64 %count) nounwind {
  %record = call ptr @PyByteArray_AsString(ptr %self)
  %n_in.p = getelementptr %Record, ptr %record, i32 0, i32 8
  %n_in = load i32, ptr %n_in.p
  %n_out.p = getelementptr %Record, ptr %record, i32 0, i32 9
  %n_out = load i32, ptr %n_out.p
  %inputs = alloca ptr, i32 %n_in
  %outputs = alloca ptr, i32 %n_out
  %tuple = load ptr, ptr %arguments
  %out.p = getelementptr ptr, ptr %arguments, i32 1
  %out = load ptr, ptr %out.p
  %right = call i1 @items(ptr %tuple, i32 %n_in, ptr %inputs)
  br i1 %right, label %results, label %none
results:
  %fresh = icmp eq ptr %out, @python_none
  br i1 %fresh, label %allocate, label %given
given:
  call void @Py_IncRef(ptr %out)
  br label %place
allocate:
  %allocate.p = getelementptr %Record, ptr %record, i32 0, i32 4
  %allocator = load ptr, ptr %allocate.p
  %made = call ptr @PyObject_CallNoArgs(ptr %allocator)
  %null = icmp eq ptr %made, null
  br i1 %null, label %raise, label %place
raise:
  ret ptr null
place:
  %result = phi ptr [ %out, %given ], [ %made, %allocate ]
  %single = icmp eq i32 %n_out, 1
  br i1 %single, label %one, label %several
one:
  store ptr %result, ptr %outputs
  br label %call
several:
  %placed = call i1 @items(ptr %result, i32 %n_out, ptr %outputs)
  br i1 %placed, label %call, label %bad
call:
  %code = call i32 @infer(ptr %record, ptr %inputs, ptr %outputs, i1 %fresh)
  %fine = icmp eq i32 %code, 0
  br i1 %fine, label %good, label %bad
good:
  ret ptr %result
bad:
  call void @Py_DecRef(ptr %result)
  br label %none
none:
  call void @Py_IncRef(ptr @python_none)
  ret ptr @python_none
}

; Run a record whose addresses are resolved.
define internal i32 @resolved(ptr %record) nounwind {
  %session = load ptr, ptr %record
  %images.p = getelementptr %Record, ptr %record, i32 0, i32 7
  %images = load i32, ptr %images.p
  %inputs.p = getelementptr %Record, ptr %record, i32 0, i32 1
  %inputs = load ptr, ptr %inputs.p
  %outputs.p = getelementptr %Record, ptr %record, i32 0, i32 2
  %outputs = load ptr, ptr %outputs.p
  %code = call i32 @run(ptr %session, i32 %images, ptr %inputs, ptr %outputs)
  ret i32 %code
}

; () → status code (METH_NOARGS; self holds a resolved %Record).
define ptr @cnncc_execute(ptr %self, ptr %unused) nounwind {
  %record = call ptr @PyByteArray_AsString(ptr %self)
  %code = call i32 @resolved(ptr %record)
  %status = sext i32 %code to i64
  %number = call ptr @PyLong_FromLong(i64 %status)
  ret ptr %number
}

; () → the bound outputs (METH_NOARGS; self holds a resolved %Record). What does not go as planned is left to the
; record's fallback, called with no arguments.
define ptr @cnncc_bound(ptr %self, ptr %unused) nounwind {
  %record = call ptr @PyByteArray_AsString(ptr %self)
  %code = call i32 @resolved(ptr %record)
  %fine = icmp eq i32 %code, 0
  br i1 %fine, label %good, label %bad
good:
  %result.p = getelementptr %Record, ptr %record, i32 0, i32 5
  %result = load ptr, ptr %result.p
  call void @Py_IncRef(ptr %result)
  ret ptr %result
bad:
  %fallback.p = getelementptr %Record, ptr %record, i32 0, i32 6
  %fallback = load ptr, ptr %fallback.p
  %answer = call ptr @PyObject_CallNoArgs(ptr %fallback)
  ret ptr %answer
}
""")

_INPUT_FLAGS = 0x38 | 0x04  # PyBUF_C_CONTIGUOUS | PyBUF_FORMAT
_OUTPUT_FLAGS = _INPUT_FLAGS | 0x01  # PyBUF_WRITABLE
_WORKER_SPINS = 1000  # some tens of microseconds
_TRIALS = 12  # calls in a row that are measured, half of them with all shards and half with one
_SETTLED = 2000  # calls after them for which the faster way is taken


def shim_text(architecture: str, array_data: int = 16) -> str:
    """The module for a host of this architecture (a key of `PAUSE`); `array_data`: where arrays keep theirs."""
    pause, hint = PAUSE[architecture]
    return _TEXT.substitute(
        pause=pause,
        hint=hint,
        hint_type=hint.split(" ")[0],
        input_flags=_INPUT_FLAGS,
        output_flags=_OUTPUT_FLAGS,
        array_data=array_data,
        worker_spins=_WORKER_SPINS,
        period=_SETTLED + _TRIALS,
        settled=_SETTLED,
        half=_SETTLED + _TRIALS // 2,
        first=_SETTLED + 1,
        trials=_TRIALS,
    )
