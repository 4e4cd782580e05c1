// What makes a kernel 32 MiB large: numbers that are nowhere the same twice.
.section .data.ballast, "aw"
.balign 4096
.set value, 0
.rept 32
.set value, value + 1
.fill 131072, 8, value * 0x01000193
.endr
