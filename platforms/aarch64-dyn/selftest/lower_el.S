// This program runs nothing below EL2: an exception from there ends in a halt.
  .section .text, "ax"
  .global ax_lower_el_sync, ax_lower_el_irq, ax_lower_el_fiq, ax_lower_el_serror
ax_lower_el_sync:
ax_lower_el_irq:
ax_lower_el_fiq:
ax_lower_el_serror:
  wfe
  b ax_lower_el_sync
