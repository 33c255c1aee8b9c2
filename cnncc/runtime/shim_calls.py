"""The shim's text: the functions that Python calls, and the test whether a call is standard (see `shim_text.py`)."""

TEXT = r"""
; Does a buffer have the element type, alignment and exact shape of a port?
define internal i1 @fits(ptr %buffer, ptr %port) nounwind {
  %data = load ptr, ptr %buffer
  %align_mask = load PortStruct.align_mask of %port
  %crooked64 = zext i16 %align_mask to i64
  %address = ptrtoint ptr %data to i64
  %low = and i64 %address, %crooked64
  %aligned = icmp eq i64 %low, 0
  %format = load PyBuffer.format of %buffer
  %untold = icmp eq ptr %format, null
  br i1 %untold, label %no, label %told
told:
  %letters = load i16, ptr %format, align 1
  %format_char = load PortStruct.format_char of %port
  %typed = icmp eq i16 %letters, %format_char
  %rank.p = field PyBuffer.ndim of %buffer
  %rank32 = load i32, ptr %rank.p
  %rank = sext i32 %rank32 to i64
  %wanted = load i64, ptr %port
  %same = icmp eq i64 %rank, %wanted
  %formed = and i1 %aligned, %typed
  %plausible = and i1 %formed, %same
  br i1 %plausible, label %shape, label %no
shape:
  %dimensions = load PyBuffer.shape of %buffer
  %expected = load PortStruct.dimensions of %port
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
  %mine = getelementptr %PyBuffer, ptr %buffers, i32 %last
  %start = load ptr, ptr %mine
  %length = load PyBuffer.len of %mine
  %end = getelementptr i8, ptr %start, i64 %length
  br label %next
next:
  %i = phi i32 [ 0, %0 ], [ %i.after, %apart ]
  %more = icmp ult i32 %i, %last
  br i1 %more, label %look, label %no
look:
  %other = getelementptr %PyBuffer, ptr %buffers, i32 %i
  %other.start = load ptr, ptr %other
  %other.length = load PyBuffer.len of %other
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
  %n_in = load CallRecord.n_in of %record
  %n_out = load CallRecord.n_out of %record
  %n = add i32 %n_in, %n_out
  %n.checked = select i1 %fresh, i32 %n_in, i32 %n
  %ports = load CallRecord.ports of %record
  %buffers = alloca %PyBuffer, i32 %n
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
  %buffer = getelementptr %PyBuffer, ptr %buffers, i32 %i
  %error = call i32 @PyObject_GetBuffer(ptr %object, ptr %buffer, i32 %flags)
  %got = icmp eq i32 %error, 0
  br i1 %got, label %check, label %none
none:
  call void @PyErr_Clear()
  br label %release
check:
  %port = getelementptr %PortStruct, ptr %ports, i32 %i
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
  %images = load CallRecord.images of %record
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
  %done = getelementptr %PyBuffer, ptr %buffers, i32 %r
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
; %CallRecord). One output is an array, several are a tuple; fresh ones come from the record's `allocate`.
define ptr @cnncc_call(ptr %self, ptr %arguments, i64 %count) nounwind {
  %record = call ptr @PyByteArray_AsString(ptr %self)
  %n_in = load CallRecord.n_in of %record
  %n_out = load CallRecord.n_out of %record
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
  %allocate.p = field CallRecord.allocate of %record
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
  %images = load CallRecord.images of %record
  %inputs = load CallRecord.inputs of %record
  %outputs = load CallRecord.outputs of %record
  %code = call i32 @run(ptr %session, i32 %images, ptr %inputs, ptr %outputs)
  ret i32 %code
}

; () → status code (METH_NOARGS; self holds a resolved %CallRecord).
define ptr @cnncc_execute(ptr %self, ptr %unused) nounwind {
  %record = call ptr @PyByteArray_AsString(ptr %self)
  %code = call i32 @resolved(ptr %record)
  %status = sext i32 %code to i64
  %number = call ptr @PyLong_FromLong(i64 %status)
  ret ptr %number
}

; () → the bound outputs (METH_NOARGS; self holds a resolved %CallRecord). What does not go as planned is left to the
; record's fallback, called with no arguments.
define ptr @cnncc_bound(ptr %self, ptr %unused) nounwind {
  %record = call ptr @PyByteArray_AsString(ptr %self)
  %code = call i32 @resolved(ptr %record)
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
