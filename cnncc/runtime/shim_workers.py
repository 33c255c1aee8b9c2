"""The shim's text: threads that wait for a session's next call without the GIL (see `shim_text.py`)."""

TEXT = r"""
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
  %processor.p = field SessionStruct.processor of %session
  %here = call i32 @sched_getcpu()
  store i32 %here, ptr %processor.p
  %generation = field SessionStruct.generation of %session
  %before = atomicrmw add ptr %generation, i32 1 seq_cst
  %shards = load SessionStruct.call.shards of %session
  %others = sub i32 %shards, 1
  %workers = load SessionStruct.workers of %session
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
  %lock = load Worker.lock of %worker
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
  $pause
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
  %lock = load Worker.lock of %worker
  %ignored = call i32 @PyThread_acquire_lock(ptr %lock, i32 1)
  br label %spin
out:
  ret void
}

; A worker's whole life (METH_NOARGS; self holds a %WorkerHandle): one shard of every generation until `stop`.
define ptr @cnncc_work(ptr %self, ptr %unused) nounwind {
  %seat = call ptr @PyByteArray_AsString(ptr %self)
  %session = load ptr, ptr %seat
  %worker = load WorkerHandle.worker of %seat
  %index = load Worker.shard of %worker
  %generation = field SessionStruct.generation of %session
  %shards = load SessionStruct.call.shards of %session
  %stop.p = field SessionStruct.stop of %session
  %fault.p = field SessionStruct.fault of %session
  %done.p = field SessionStruct.done of %session
  %thread = call ptr @PyEval_SaveThread()
  br label %next
next:
  %seen = phi i32 [ 0, %0 ], [ %seen.after, %finished ]
  %met = phi i32 [ 0, %0 ], [ %met.after, %finished ]
  call void @next_generation(ptr %generation, ptr %worker, i32 %seen)
  %seen.after = add i32 %seen, 1
  %stop = load atomic i32, ptr %stop.p acquire, align 4
  %go = icmp eq i32 %stop, 0
  br i1 %go, label %work, label %leave
work:
  %met.after = call i32 @keep_apart(ptr %session, i32 %met)
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

; Claim the session for ever and send its workers home (METH_NOARGS; self holds a %WorkerHandle). False if it was busy.
define ptr @cnncc_stop(ptr %self, ptr %unused) nounwind {
  %seat = call ptr @PyByteArray_AsString(ptr %self)
  %session = load ptr, ptr %seat
  %busy = field SessionStruct.busy of %session
  %claim = cmpxchg ptr %busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %claim, 1
  br i1 %mine, label %claimed, label %refused
claimed:
  %stop.p = field SessionStruct.stop of %session
  store atomic i32 1, ptr %stop.p release, align 4
  call void @wake(ptr %session)
  br label %refused
refused:
  %answer = phi i64 [ 1, %claimed ], [ 0, %0 ]
  %number = call ptr @PyLong_FromLong(i64 %answer)
  ret ptr %number
}
"""
