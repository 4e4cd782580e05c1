# cmake -D LOG=file -P SameMemory.cmake: the shell's command 'memory' was used at least twice and said the same each time.
file(STRINGS ${LOG} lines REGEX "^[0-9]+ bytes free in frames")
list(LENGTH lines count)
list(REMOVE_DUPLICATES lines)
list(LENGTH lines different)
if(count LESS 2 OR NOT different EQUAL 1)
  message(FATAL_ERROR "${LOG}: ${count} times the shell said what is free, and ${different} times something new:\n${lines}")
endif()
message(STATUS "${count} times the same: ${lines}")
