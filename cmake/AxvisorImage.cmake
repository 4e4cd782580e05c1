# axvisor_add_image(NAME): links a bootable hypervisor image.
include_guard(GLOBAL)
function(axvisor_add_image name)
endfunction()
