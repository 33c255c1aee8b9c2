"""The shim's text: the functions that Python calls (see `shim_text.py`)."""

TEXT = r"""
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

; Put the addresses of the given outputs into `pointers`: one array, or a tuple of several. False if one is not what its
; port takes, or shares memory with an input or another output.
define internal i1 @given_outputs(ptr %record, ptr %out, ptr %buffers, ptr %pointers, ptr %images) nounwind {
  %n_in = load CallRecord.n_in of %record
  %n_out = load CallRecord.n_out of %record
  %ports = load CallRecord.ports of %record
  %objects = alloca ptr, i32 %n_out
  store ptr %out, ptr %objects
  %single = icmp eq i32 %n_out, 1
  br i1 %single, label %take, label %several
several:
  %itemised = call i1 @items(ptr %out, i32 %n_out, ptr %objects)
  br i1 %itemised, label %take, label %no
take:
  %to.ports = getelementptr %PortStruct, ptr %ports, i32 %n_in
  %to.buffers = getelementptr %PyBuffer, ptr %buffers, i32 %n_in
  %to = getelementptr ptr, ptr %pointers, i32 %n_in
  %taken = call i1 @arguments(ptr %objects, i32 %n_out, ptr %to.ports, ptr %to.buffers, ptr %to, ptr %images)
  br i1 %taken, label %all, label %no
all:
  %n = add i32 %n_in, %n_out
  %count = load i64, ptr %images
  br label %next
next:
  %i = phi i32 [ %n_in, %all ], [ %i.after, %look ]
  %more = icmp ult i32 %i, %n
  br i1 %more, label %look, label %yes
look:
  %apart = call i1 @apart(ptr %pointers, ptr %ports, i32 %i, i64 %count)
  %i.after = add i32 %i, 1
  br i1 %apart, label %next, label %no
yes:
  ret i1 true
no:
  ret i1 false
}

; Give back the buffers that were taken.
define internal void @release(ptr %buffers, i32 %n) nounwind {
  br label %next
next:
  %i = phi i32 [ 0, %0 ], [ %i.after, %step ]
  %more = icmp ult i32 %i, %n
  br i1 %more, label %look, label %out
look:
  %buffer = getelementptr %PyBuffer, ptr %buffers, i32 %i
  %owner = load PyBuffer.obj of %buffer
  %untaken = icmp eq ptr %owner, null
  br i1 %untaken, label %step, label %give
give:
  call void @PyBuffer_Release(ptr %buffer)
  br label %step
step:
  %i.after = add i32 %i, 1
  br label %next
out:
  ret void
}

; Run a call with these inputs, and `out` or None: the result, or null (and no error) where the arguments need a
; conversion or an explanation, or the session is not free.
define internal ptr @infer(ptr %record, ptr %inputs, ptr %out) nounwind {
  %n_in = load CallRecord.n_in of %record
  %n_out = load CallRecord.n_out of %record
  %ports = load CallRecord.ports of %record
  %n = add i32 %n_in, %n_out
  %buffers = alloca %PyBuffer, i32 %n
  %places = add i32 %n, 1
  %pointers = alloca ptr, i32 %places
  %state = load CallRecord.state of %record
  %behind = getelementptr ptr, ptr %pointers, i32 %n ; behind the outputs
  store ptr %state, ptr %behind
  %images = alloca i64
  store i64 -1, ptr %images
  br label %untaken
untaken:
  %i = phi i32 [ 0, %0 ], [ %i.after, %untaken.one ]
  %more = icmp ult i32 %i, %n
  br i1 %more, label %untaken.one, label %take
untaken.one:
  %buffer = getelementptr %PyBuffer, ptr %buffers, i32 %i
  %owner.p = field PyBuffer.obj of %buffer
  store ptr null, ptr %owner.p
  %i.after = add i32 %i, 1
  br label %untaken
take:
  %taken = call i1 @arguments(ptr %inputs, i32 %n_in, ptr %ports, ptr %buffers, ptr %pointers, ptr %images)
  br i1 %taken, label %count, label %done
count:
  %told = load i64, ptr %images
  %untold = icmp slt i64 %told, 0
  %usual32 = load CallRecord.images of %record
  %usual = zext i32 %usual32 to i64
  %number = select i1 %untold, i64 %usual, i64 %told
  store i64 %number, ptr %images
  %most = load CallRecord.most of %record
  %short = icmp sle i64 %number, %most
  br i1 %short, label %output, label %done
output:
  %results = getelementptr ptr, ptr %pointers, i32 %n_in
  %fresh = icmp eq ptr %out, @python_none
  br i1 %fresh, label %make, label %given
make:
  %out.ports = getelementptr %PortStruct, ptr %ports, i32 %n_in
  %made = call ptr @fresh_outputs(ptr %record, i64 %number, ptr %out.ports, ptr %results)
  %unmade = icmp eq ptr %made, null
  br i1 %unmade, label %done, label %ready
given:
  %accepted = call i1 @given_outputs(ptr %record, ptr %out, ptr %buffers, ptr %pointers, ptr %images)
  br i1 %accepted, label %keep, label %done
keep:
  call void @Py_IncRef(ptr %out)
  br label %ready
ready:
  %result = phi ptr [ %made, %make ], [ %out, %keep ]
  %idle = icmp eq i64 %number, 0
  br i1 %idle, label %none, label %work
none:
  %fewest = load CallRecord.fewest of %record
  %enough = icmp eq i32 %fewest, 0
  br i1 %enough, label %done, label %drop
work:
  %session = load CallRecord.session of %record
  %number32 = trunc i64 %number to i32
  %code = call i32 @run_on_any(ptr %session, i32 %number32, ptr %pointers, ptr %results)
  %fine = icmp eq i32 %code, 0
  br i1 %fine, label %done, label %drop
drop:
  call void @Py_DecRef(ptr %result)
  br label %done
done:
  %answer = phi ptr [ null, %take ], [ null, %count ], [ null, %make ], [ null, %given ], [ null, %drop ],
                    [ %result, %none ], [ %result, %work ]
  call void @release(ptr %buffers, i32 %n)
  ret ptr %answer
}

; The argument `out`, None if nothing is named, null if anything else is.
define internal ptr @named_out(ptr %names, ptr %named) nounwind {
  %unnamed = icmp eq ptr %names, null
  br i1 %unnamed, label %none, label %look
look:
  %size = call i64 @PyTuple_Size(ptr %names)
  %single = icmp eq i64 %size, 1
  br i1 %single, label %one, label %no
one:
  %name = call ptr @PyTuple_GetItem(ptr %names, i64 0)
  %is_out = icmp eq ptr %name, @name_out
  br i1 %is_out, label %yes, label %no
yes:
  %out = load ptr, ptr %named
  ret ptr %out
none:
  ret ptr @python_none
no:
  ret ptr null
}

; A call of a %CallableObject (its vectorcall function): inputs by place, perhaps `out=`. Whatever is not as most calls
; are goes on to its method `general`, with the same arguments.
define ptr @cnncc_call(ptr %self, ptr %arguments, i64 %flagged, ptr %names) nounwind {
  %owner = load CallableObject.record of %self
  %unready = icmp eq ptr %owner, null
  br i1 %unready, label %general, label %ready
ready:
  %record = call ptr @PyByteArray_AsString(ptr %owner)
  %count = and i64 %flagged, 9223372036854775807 ; without PY_VECTORCALL_ARGUMENTS_OFFSET
  %n_in32 = load CallRecord.n_in of %record
  %n_in = zext i32 %n_in32 to i64
  %complete = icmp eq i64 %count, %n_in
  br i1 %complete, label %name, label %general
name:
  %named = getelementptr ptr, ptr %arguments, i64 %count
  %out = call ptr @named_out(ptr %names, ptr %named)
  %other = icmp eq ptr %out, null
  br i1 %other, label %general, label %infer
infer:
  %result = call ptr @infer(ptr %record, ptr %arguments, ptr %out)
  %unusual = icmp eq ptr %result, null
  br i1 %unusual, label %general, label %good
good:
  ret ptr %result
general:
  %method = call ptr @PyObject_GetAttr(ptr %self, ptr @name_general)
  %missing = icmp eq ptr %method, null
  br i1 %missing, label %raise, label %call
call:
  %answer = call ptr @PyObject_Vectorcall(ptr %method, ptr %arguments, i64 %flagged, ptr %names)
  call void @Py_DecRef(ptr %method)
  ret ptr %answer
raise:
  ret ptr null
}

; Run a record whose addresses are resolved, by `run` or `run_on_any`.
define internal i32 @resolved(ptr %record, ptr %runs) nounwind {
  %session = load ptr, ptr %record
  %images = load CallRecord.images of %record
  %inputs = load CallRecord.inputs of %record
  %outputs = load CallRecord.outputs of %record
  %code = call i32 %runs(ptr %session, i32 %images, ptr %inputs, ptr %outputs)
  ret i32 %code
}

; () → status code of this session (METH_NOARGS; self holds a resolved %CallRecord).
define ptr @cnncc_execute(ptr %self, ptr %unused) nounwind {
  %record = call ptr @PyByteArray_AsString(ptr %self)
  %code = call i32 @resolved(ptr %record, ptr @run)
  %status = sext i32 %code to i64
  %number = call ptr @PyLong_FromLong(i64 %status)
  ret ptr %number
}

; () → the bound outputs (METH_NOARGS; self holds a resolved %CallRecord). What does not go as planned is left to the
; record's fallback, called with no arguments.
define ptr @cnncc_bound(ptr %self, ptr %unused) nounwind {
  %record = call ptr @PyByteArray_AsString(ptr %self)
  %code = call i32 @resolved(ptr %record, ptr @run_on_any)
  %fine = icmp eq i32 %code, 0
  br i1 %fine, label %good, label %bad
good:
  %result = load CallRecord.result of %record
  call void @Py_IncRef(ptr %result)
  ret ptr %result
bad:
  %fallback = load CallRecord.fallback of %record
  %answer = call ptr @PyObject_CallNoArgs(ptr %fallback)
  ret ptr %answer
}
"""
