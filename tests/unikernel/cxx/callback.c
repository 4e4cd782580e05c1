/* C between two functions of C++: an exception passes through it. */
int call_from_c(int (*function)(int), int value) { return function(value) + 1; }
