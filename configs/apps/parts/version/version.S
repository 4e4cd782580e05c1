// A text as data: works on every architecture.
  .section .rodata
  .globl words_version
words_version:
  .asciz "words 1.0"
  .section .note.GNU-stack, "", %progbits
