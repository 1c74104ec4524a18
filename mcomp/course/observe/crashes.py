"""What an exception usually means, in the words of this course."""

import re

KNOWN = (
    (r"truth value of an array|Boolean value of Tensor with more than one value",
     "`and`, `or`, `not`, `if` ask for one truth value; between arrays write & | ~, comparisons in brackets;"
     " for max and min np.maximum, np.minimum"),
    (r"(unary [-~+]|abs\(\)|\[&|\]|[-+*/@&|]): .*'str'|'str' and '|not supported between instances of .*'str'"
     r"|must be real number, not str|can only concatenate str|dtype\('<U\d+'\)",
     "the loop gives names, not arrays: a dict's arrays are its .values(), both are its .items()"),
    (r"ufunc '(bitwise_\w+|invert)' not supported|bad operand type for unary ~|bitwise_\w+_cpu.* not impl"
     r"|unsupported operand type\(s\) for [&|]",
     "& | ~ bind tighter than < and >=, and want bools: put each comparison in brackets"),
    (r"'(str|int)' object has no attribute '(\w+)'",
     "the loop gives names or places, not arrays: a dict's arrays are its .values(), both are its .items()"),
    (r"'dict' object has no attribute", "a dict has its arrays under names: loop over .values() or .items()"),
    (r"'(list|tuple)' object has no attribute",
     "that is a list, no array: loop over it, or np.array(...) makes one of it"),
    (r"'(float|int|NoneType)' object is not (iterable|subscriptable)|'NoneType' object has no attribute",
     "one number, or None, stands where several values are taken: is there a return, and does it give all?"),
    (r"object is not callable", "round brackets call a function; an entry of an array stands in square ones"),
    (r"input array dimensions.* must match exactly|all the input arrays must have same number"
     r"|Sizes of tensors must match",
     "arrays that are joined agree in all axes but that one; flat ones, as .ravel() makes, always do"),
    (r"matmul: Input operand|mat1 and mat2|shapes .* not aligned|size mismatch, got",
     "in a @ b the last axis of a must be as long as the first of b: .T, or another order?"),
    (r"could not be broadcast|operands could not|size of tensor a .* must match|shape mismatch",
     "these shapes don't fit entry by entry: compare their last axes; x[:, None] adds an axis"),
    (r"boolean index did not match|too many indices|mask .* does not match the shape",
     "what stands in the square brackets has another shape, or more axes, than the array before them"),
    (r"out of bounds for (axis|dimension) \d+ with size 0",
     "an entry is asked of an array that has none: in some case there is nothing left"),
    (r"IndexError: .*out of bounds|list index out of range|IndexError: index .* is out of bounds",
     "an index past the end: n entries have the indices 0 to n - 1"),
    (r"axis \d+ is out of bounds|Dimension out of range",
     "there is no such axis: the array has fewer; some cases have other numbers of axes"),
    (r"cannot reshape array|shape .* is invalid for input of size",
     "another number of entries than the shape has: count both"),
    (r"only (length-1|0-dimensional|size-1) arrays can be|only one element tensors can be",
     "one number is wanted there, not an array: np.log2, np.sqrt and np.round take arrays, math's don't"),
    (r"doesn't define __round__", "round() takes one number; for an array it is np.round"),
    (r"values to unpack",
     "another number of values than names before the `=`: a shape has one for each axis of its array"),
    (r"only integer scalar arrays|only integers, slices|slice indices must be integers"
     r"|arrays used as indices must be of integer|can't be cast|cannot be interpreted as an integer",
     "a whole number is wanted there, an index or a count: is it an array, or a float from a division?"),
    (r"ZeroDivisionError|float division by zero", "a division by 0: what should come out in such a case?"),
    (r"KeyError", "the dict has no such name: loop over its own names"),
    (r"NameError: name 'np'|NameError: name 'torch'", "run the Setup cell first: it imports what you use"),
    (r"UnboundLocalError|NameError",
     "a name is used before it has a value: is it misspelt, or set in an `if` only?"),
    (r"missing \d+ required positional|takes \d+ positional|unexpected keyword",
     "a function is called with other arguments than it takes: compare the line with its definition"),
    (r"negative shift count", "a shift by a negative number of bits: some case has nothing to shift"),
    (r"cannot convert float (NaN|infinity)",
     "no whole number can be made of nan or infinity: is there a division by 0 in some case?"),
    (r"math domain error|negative dimensions",
     "a logarithm or a root of what isn't positive, or a count below 0: which case is that?"),
    (r"zero-size array|arg is an empty sequence|empty sequence|iterable argument is empty",
     "the largest of nothing is asked: some case leaves nothing over"),
    (r"recursion", "the function calls itself and never ends"),
    (r"output array is read-only|assignment destination is read-only",
     "the array that came in can't be changed: work on a copy"),
    (r"numpy boolean (subtract|negative)|(Subtraction|Negation), the `-` operator",
     "bools can't be subtracted: the opposite of a mask is ~mask"),
)  # fmt: skip


def explained(error):
    """What an exception of that text usually means, or "".

    Parameters
    ----------
    error : str
        Type and message, as `mcomp.course.sandbox` writes them.

    Examples
    --------
    >>> explained("ZeroDivisionError: division by zero")
    'a division by 0: what should come out in such a case?'
    """
    return next((said for pattern, said in KNOWN if re.search(pattern, error)), "")
