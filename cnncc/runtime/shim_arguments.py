"""The shim's text: what the arguments of a call are, and its fresh outputs (see `shim_text.py`).

An array is taken by the fields that NumPy's C interface gives it. Any other object is asked for its buffer, which
takes some thirty times as long: two calls of functions, and in NumPy's the making of a format string.
"""

TEXT = r"""
; Is this an array, of exactly NumPy's type, with the rank, the element type and the flags of a port?
define internal i1 @is_array(ptr %object, ptr %port) nounwind {
  %type = load ArrayObject.type of %object
  %array_type = load PortStruct.array_type of %port
  %exact = icmp eq ptr %type, %array_type
  br i1 %exact, label %look, label %no
look:
  %nd = load ArrayObject.nd of %object
  %rank = load PortStruct.rank of %port
  %ranked = icmp eq i32 %nd, %rank
  %descr = load ArrayObject.descr of %object
  %element = load PortStruct.descr of %port
  %typed = icmp eq ptr %descr, %element
  %flags = load ArrayObject.flags of %object
  %mask = load PortStruct.mask of %port
  %wanted = load PortStruct.flags of %port
  %masked = and i32 %flags, %mask
  %flagged = icmp eq i32 %masked, %wanted
  %formed = and i1 %ranked, %typed
  %good = and i1 %formed, %flagged
  ret i1 %good
no:
  ret i1 false
}

; Take the buffer of an object: has it the rank, the element type and the alignment of a port?
define internal i1 @has_buffer(ptr %object, ptr %port, ptr %buffer) nounwind {
  %flags = load PortStruct.buffer_flags of %port
  %error = call i32 @PyObject_GetBuffer(ptr %object, ptr %buffer, i32 %flags)
  %got = icmp eq i32 %error, 0
  br i1 %got, label %form, label %none
none:
  call void @PyErr_Clear()
  ret i1 false
form:
  %format = load PyBuffer.format of %buffer
  %untold = icmp eq ptr %format, null
  br i1 %untold, label %no, label %told
told:
  %letters = load i16, ptr %format, align 1
  %format_char = load PortStruct.format_char of %port
  %typed = icmp eq i16 %letters, %format_char
  %data = load PyBuffer.buf of %buffer
  %address = ptrtoint ptr %data to i64
  %align_mask = load PortStruct.align_mask of %port
  %mask = zext i16 %align_mask to i64
  %low = and i64 %address, %mask
  %aligned = icmp eq i64 %low, 0
  %ndim = load PyBuffer.ndim of %buffer
  %rank = load PortStruct.rank of %port
  %ranked = icmp eq i32 %ndim, %rank
  %formed = and i1 %typed, %aligned
  %good = and i1 %formed, %ranked
  ret i1 %good
no:
  ret i1 false
}

; Are these the dimensions of a port for `images` images? The first port that has images tells their number, which is
; negative before.
define internal i1 @has_shape(ptr %dimensions, ptr %port, ptr %images) nounwind {
  %each = load PortStruct.each of %port
  %fixed = icmp eq i64 %each, 0
  br i1 %fixed, label %axes, label %first
first:
  %length = load i64, ptr %dimensions
  %known = load i64, ptr %images
  %unknown = icmp slt i64 %known, 0
  br i1 %unknown, label %count, label %counted
count:
  %told = udiv i64 %length, %each
  store i64 %told, ptr %images
  br label %counted
counted:
  %n = phi i64 [ %known, %first ], [ %told, %count ]
  %wanted = mul i64 %n, %each
  %whole = icmp eq i64 %wanted, %length
  %countable = icmp ule i64 %n, $most_images
  %right = and i1 %whole, %countable
  br i1 %right, label %axes, label %no
axes:
  %begin = phi i32 [ 0, %0 ], [ 1, %counted ]
  %rank = load PortStruct.rank of %port
  %expected = load PortStruct.dimensions of %port
  br label %axis
axis:
  %i = phi i32 [ %begin, %axes ], [ %i.after, %equal ]
  %more = icmp ult i32 %i, %rank
  br i1 %more, label %compare, label %yes
compare:
  %a.p = getelementptr i64, ptr %dimensions, i32 %i
  %a = load i64, ptr %a.p
  %b.p = getelementptr i64, ptr %expected, i32 %i
  %b = load i64, ptr %b.p
  %ok = icmp eq i64 %a, %b
  br i1 %ok, label %equal, label %no
equal:
  %i.after = add i32 %i, 1
  br label %axis
yes:
  ret i1 true
no:
  ret i1 false
}

; The address of an argument's data, null if it is not what the port takes.
define internal ptr @argument(ptr %object, ptr %port, ptr %buffer, ptr %images) nounwind {
  %is_array = call i1 @is_array(ptr %object, ptr %port)
  br i1 %is_array, label %array, label %other
array:
  %array.data = load ArrayObject.data of %object
  %array.dimensions = load ArrayObject.dimensions of %object
  br label %shape
other:
  %has_buffer = call i1 @has_buffer(ptr %object, ptr %port, ptr %buffer)
  br i1 %has_buffer, label %view, label %no
view:
  %view.data = load PyBuffer.buf of %buffer
  %view.dimensions = load PyBuffer.shape of %buffer
  br label %shape
shape:
  %data = phi ptr [ %array.data, %array ], [ %view.data, %view ]
  %dimensions = phi ptr [ %array.dimensions, %array ], [ %view.dimensions, %view ]
  %has_shape = call i1 @has_shape(ptr %dimensions, ptr %port, ptr %images)
  %found = select i1 %has_shape, ptr %data, ptr null
  ret ptr %found
no:
  ret ptr null
}

; Put the addresses of `n` arguments into `pointers`; false if one is not what its port takes.
define internal i1 @arguments(ptr %objects, i32 %n, ptr %ports, ptr %buffers, ptr %pointers, ptr %images) nounwind {
  br label %next
next:
  %i = phi i32 [ 0, %0 ], [ %i.after, %good ]
  %more = icmp ult i32 %i, %n
  br i1 %more, label %take, label %all
take:
  %object.p = getelementptr ptr, ptr %objects, i32 %i
  %object = load ptr, ptr %object.p
  %port = getelementptr %PortStruct, ptr %ports, i32 %i
  %buffer = getelementptr %PyBuffer, ptr %buffers, i32 %i
  %data = call ptr @argument(ptr %object, ptr %port, ptr %buffer, ptr %images)
  %bad = icmp eq ptr %data, null
  br i1 %bad, label %no, label %good
good:
  %pointer.p = getelementptr ptr, ptr %pointers, i32 %i
  store ptr %data, ptr %pointer.p
  %i.after = add i32 %i, 1
  br label %next
all:
  ret i1 true
no:
  ret i1 false
}

; The end of argument `i` in memory.
define internal ptr @end(ptr %pointers, ptr %ports, i32 %i, i64 %images) nounwind {
  %pointer.p = getelementptr ptr, ptr %pointers, i32 %i
  %start = load ptr, ptr %pointer.p
  %port = getelementptr %PortStruct, ptr %ports, i32 %i
  %each = load PortStruct.each of %port
  %fixed = icmp eq i64 %each, 0
  %times = select i1 %fixed, i64 1, i64 %images
  %bytes = load PortStruct.bytes of %port
  %size = mul i64 %bytes, %times
  %end = getelementptr i8, ptr %start, i64 %size
  ret ptr %end
}

; Does argument `last` share no memory with those before it?
define internal i1 @apart(ptr %pointers, ptr %ports, i32 %last, i64 %images) nounwind {
  %start.p = getelementptr ptr, ptr %pointers, i32 %last
  %start = load ptr, ptr %start.p
  %end = call ptr @end(ptr %pointers, ptr %ports, i32 %last, i64 %images)
  br label %next
next:
  %i = phi i32 [ 0, %0 ], [ %i.after, %look ]
  %more = icmp ult i32 %i, %last
  br i1 %more, label %look, label %yes
look:
  %other.p = getelementptr ptr, ptr %pointers, i32 %i
  %other = load ptr, ptr %other.p
  %other.end = call ptr @end(ptr %pointers, ptr %ports, i32 %i, i64 %images)
  %before = icmp ult ptr %other, %end
  %after = icmp ult ptr %start, %other.end
  %both = and i1 %before, %after
  %i.after = add i32 %i, 1
  br i1 %both, label %no, label %next
yes:
  ret i1 true
no:
  ret i1 false
}

; A fresh array for an output, made by NumPy; null, and an error is set, where it cannot.
define internal ptr @fresh(ptr %empty, ptr %port, i64 %images) nounwind {
  %rank = load PortStruct.rank of %port
  %each = load PortStruct.each of %port
  %expected = load PortStruct.dimensions of %port
  %dimensions = alloca i64, i32 %rank
  br label %next
next:
  %i = phi i32 [ 0, %0 ], [ %i.after, %axis ]
  %more = icmp ult i32 %i, %rank
  br i1 %more, label %axis, label %done
axis:
  %from = getelementptr i64, ptr %expected, i32 %i
  %to = getelementptr i64, ptr %dimensions, i32 %i
  %length = load i64, ptr %from
  store i64 %length, ptr %to
  %i.after = add i32 %i, 1
  br label %next
done:
  %fixed = icmp eq i64 %each, 0
  br i1 %fixed, label %make, label %count
count:
  %first = mul i64 %images, %each
  store i64 %first, ptr %dimensions
  br label %make
make:
  %descr = load PortStruct.descr of %port
  call void @Py_IncRef(ptr %descr)
  %array = call ptr %empty(i32 %rank, ptr %dimensions, ptr %descr, i32 0)
  ret ptr %array
}

; Fresh arrays for the outputs of a call, several as a tuple of the record's type, and their addresses; null where the
; record leaves so many images to others, or NumPy has no memory.
define internal ptr @fresh_outputs(ptr %record, i64 %images, ptr %ports, ptr %pointers) nounwind {
  %most_fresh = load CallRecord.most_fresh of %record
  %few = icmp sle i64 %images, %most_fresh
  br i1 %few, label %make, label %none
make:
  %empty = load CallRecord.empty of %record
  %n_out = load CallRecord.n_out of %record
  %single = icmp eq i32 %n_out, 1
  br i1 %single, label %one, label %several
one:
  %only = call ptr @fresh(ptr %empty, ptr %ports, i64 %images)
  %failed = icmp eq ptr %only, null
  br i1 %failed, label %clear, label %read
read:
  %only.data = load ArrayObject.data of %only
  store ptr %only.data, ptr %pointers
  ret ptr %only
several:
  %length = zext i32 %n_out to i64
  %type = load CallRecord.several of %record
  %tuple = call ptr @PyType_GenericAlloc(ptr %type, i64 %length)
  %without = icmp eq ptr %tuple, null
  br i1 %without, label %clear, label %next
next:
  %i = phi i64 [ 0, %several ], [ %i.after, %place ]
  %more = icmp ult i64 %i, %length
  br i1 %more, label %item, label %all
item:
  %port = getelementptr %PortStruct, ptr %ports, i64 %i
  %array = call ptr @fresh(ptr %empty, ptr %port, i64 %images)
  %missing = icmp eq ptr %array, null
  br i1 %missing, label %drop, label %place
place:
  %data = load ArrayObject.data of %array
  %pointer.p = getelementptr ptr, ptr %pointers, i64 %i
  store ptr %data, ptr %pointer.p
  %error = call i32 @PyTuple_SetItem(ptr %tuple, i64 %i, ptr %array)
  %i.after = add i64 %i, 1
  %placed = icmp eq i32 %error, 0
  br i1 %placed, label %next, label %drop
all:
  ret ptr %tuple
drop:
  call void @Py_DecRef(ptr %tuple)
  br label %clear
clear:
  call void @PyErr_Clear()
  br label %none
none:
  ret ptr null
}
"""
