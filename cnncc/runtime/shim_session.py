"""The shim's text: one call of the code object, by one shard or by several (see `shim_text.py`)."""

TEXT = r"""
; What a shard does while it waits: pause, and every 64th time let another thread have the processor, so that more
; threads than processors are slow and not stuck.
define void @cnncc_wait(ptr %count) nounwind {
  $pause
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
  %call = alloca %CallStruct
  %spins = alloca i32
  store i32 0, ptr %spins
  %current = load SessionStruct.call of %session
  %indexed = insertvalue %CallStruct %current, i32 %index, $shard_field
  %shared = insertvalue %CallStruct %indexed, i32 %shards, $shards_field
  %complete = insertvalue %CallStruct %shared, ptr %spins, $argument_field
  store %CallStruct %complete, ptr %call
  %run = load ptr, ptr %session
  %code = call i32 %run(ptr %call)
  ret i32 %code
}

; How many calls follow the trials that have ended: so many that what these took, beside as many of the faster calls, is
; one of $share calls. A change of the machine is then met as soon as it is cheap to look for one. And at most `rest`
; calls, each time twice as many, since a bad moment at the beginning should be forgotten soon.
define internal i32 @rest_after(ptr %session) nounwind {
  %one = load SessionStruct.ticks_of_one of %session
  %all = load SessionStruct.ticks_of_all of %session
  %total = load SessionStruct.ticks_of_trials of %session
  %less = icmp ult i64 %one, %all
  %faster = select i1 %less, i64 %one, i64 %all
  %none = icmp eq i64 %faster, 0
  %each = select i1 %none, i64 1, i64 %faster
  %own = mul i64 %each, $trials
  %fewer = icmp ult i64 %total, %own
  %spent = select i1 %fewer, i64 %own, i64 %total
  %lost = sub i64 %spent, %own
  %shared = mul i64 %lost, $share
  %calls = udiv i64 %shared, %each
  %few = icmp ult i64 %calls, $fewest_rests
  %wanted = select i1 %few, i64 $fewest_rests, i64 %calls
  %rest.p = field SessionStruct.rest of %session
  %rest = load i32, ptr %rest.p
  %twice = shl i32 %rest, 1
  %far = icmp ugt i32 %twice, $settled
  %capped = select i1 %far, i32 $settled, i32 %twice
  store i32 %capped, ptr %rest.p
  %most = zext i32 %rest to i64
  %more = icmp ugt i64 %wanted, %most
  %chosen = select i1 %more, i64 %most, i64 %wanted
  %found = trunc i64 %chosen to i32
  ret i32 %found
}

; How many shards run the next call: all that the session has if they were measured to be faster than one by 3 %, else
; one. It is measured now and then, so that a machine whose cores are far from each other, or busy with something else,
; costs no more than the trials: some calls with all, then some with one, since after a change each core has the other's
; data to fetch. `trials` counts down through them and through the calls up to the next ones (see `rest_after`).
; 0xffffffff: all, always.
define internal i32 @choose(ptr %session, i32 %shards) nounwind {
  %trials.p = field SessionStruct.trials of %session
  %one.p = field SessionStruct.ticks_of_one of %session
  %all.p = field SessionStruct.ticks_of_all of %session
  %trials = load i32, ptr %trials.p
  %measured = icmp ne i32 %trials, -1
  %started = load SessionStruct.started of %session
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
  %total.p = field SessionStruct.ticks_of_trials of %session
  store i64 0, ptr %total.p
  br label %turns
go:
  %trial = icmp ugt i32 %next, $settled
  br i1 %trial, label %turns, label %measured_all
measured_all:
  %ended = icmp eq i32 %next, $settled
  br i1 %ended, label %longer, label %settled
longer:
  %rest = call i32 @rest_after(ptr %session)
  store i32 %rest, ptr %trials.p
  br label %settled
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
  %trials = load SessionStruct.trials of %session
  %place = sub i32 %trials, $first
  %trial = icmp ult i32 %place, $trials
  ret i1 %trial
}

; Remember the least ticks that an image took with this number of shards, and what the trials take together.
define internal void @remember(ptr %session, i32 %shards, i32 %images, i64 %ticks) nounwind {
  %single = icmp eq i32 %shards, 1
  %one.p = field SessionStruct.ticks_of_one of %session
  %all.p = field SessionStruct.ticks_of_all of %session
  %least.p = select i1 %single, ptr %one.p, ptr %all.p
  %least = load i64, ptr %least.p
  %none = icmp eq i32 %images, 0
  %some = select i1 %none, i32 1, i32 %images
  %count = zext i32 %some to i64
  %each = udiv i64 %ticks, %count
  %total.p = field SessionStruct.ticks_of_trials of %session
  %before = load i64, ptr %total.p
  %total = add i64 %before, %each
  store i64 %total, ptr %total.p
  %less = icmp ult i64 %each, %least
  %new = select i1 %less, i64 %each, i64 %least
  store i64 %new, ptr %least.p
  ret void
}

; Claim the session, run a call on its shards without the GIL, give the session back.
define internal i32 @run(ptr %session, i32 %images, ptr %inputs, ptr %outputs) nounwind {
  %busy = field SessionStruct.busy of %session
  %claim = cmpxchg ptr %busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %claim, 1
  br i1 %mine, label %claimed, label %refused
refused:
  ret i32 -2
claimed:
  %shards.p = field SessionStruct.call.shards of %session
  %available = load i32, ptr %shards.p
  %shards = call i32 @choose(ptr %session, i32 %available)
  %many = icmp ugt i32 %shards, 1
  %started = load SessionStruct.started of %session
  %none = icmp eq i32 %started, 0
  %unready = and i1 %many, %none
  br i1 %unready, label %unstarted, label %go
unstarted:
  store atomic i32 0, ptr %busy release, align 4
  ret i32 -3
go:
  %images.p = field SessionStruct.call.images of %session
  store i32 %images, ptr %images.p
  %inputs.p = field SessionStruct.call.inputs of %session
  store ptr %inputs, ptr %inputs.p
  %outputs.p = field SessionStruct.call.outputs of %session
  store ptr %outputs, ptr %outputs.p
  %fault.p = field SessionStruct.fault of %session
  store atomic i32 0, ptr %fault.p monotonic, align 4
  %done.p = field SessionStruct.done of %session
  store atomic i32 0, ptr %done.p monotonic, align 4
  %thread = call ptr @PyEval_SaveThread()
  %measured = call i1 @measured(ptr %session)
  br i1 %measured, label %clock, label %ready
clock:
  %now = call i64 @$counter()
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
  %after = call i64 @$counter()
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

; Run a call on the first session of a chain that is not busy.
define internal i32 @run_on_any(ptr %first, i32 %images, ptr %inputs, ptr %outputs) nounwind {
  br label %try
try:
  %session = phi ptr [ %first, %0 ], [ %next, %busy ]
  %code = call i32 @run(ptr %session, i32 %images, ptr %inputs, ptr %outputs)
  %refused = icmp eq i32 %code, -2
  br i1 %refused, label %busy, label %done
busy:
  %next = load SessionStruct.next of %session
  %last = icmp eq ptr %next, null
  br i1 %last, label %done, label %try
done:
  ret i32 %code
}
"""
