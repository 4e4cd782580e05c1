# A script: makes libc++.a, with libc++abi and libunwind in it, and headers in PRODUCT, or takes them out of the cache.
#   cmake -DARCH= -DVERSION= -DSHA256= -DXTASK= -DCACHE= -DKEY= -DOVERLAY= -DC= -DCXX= -DAR= -DNINJA= -DFLAGS= -DSYSROOT=
#         -DWORK= -DPRODUCT= -P BuildCxx.cmake
# libc++'s own build asks the compiler questions for longer than the compilation takes. What the answers are for the unikernel is
# known: unikernel/cxx/__config_site, and the options below.
cmake_minimum_required(VERSION 3.25)

# What is taken out of LLVM, and what is changed in it (file, from, to): std::random_device needs no file system, and no system
# call has to copy files.
set(wanted libcxx/include libcxx/src libcxx/vendor/llvm libcxx/LICENSE.TXT libcxxabi/include libcxxabi/src libunwind/include libunwind/src
  compiler-rt/lib/builtins/assembly.h compiler-rt/lib/builtins/atomic.c)
set(changes
  libcxx/include/__config "define _LIBCPP_USING_DEV_RANDOM" "define _LIBCPP_USING_GETENTROPY"
  libcxx/src/filesystem/operations.cpp "#if __has_include(<sys/sendfile.h>)" "#if 0")
string(SHA256 source_key "${SHA256} ${wanted} ${changes}")
set(SOURCE ${CACHE}/libcxx/source-${source_key})
set(CACHED ${CACHE}/libcxx/${KEY})

# Reading headers takes most of a file's time: sources are compiled together, where they can be. Not together: what has a
# constructor of static objects (iostream), which would then be in every program, and what declares a class in another way
# than the headers do.
set(units locale base abi streams files threads iostream memory classic new)  # what takes long comes first
set(base algorithm any bind call_once charconv exception expected functional hash legacy_pointer_safety memory_resource new_handler
  new_helpers optional random_shuffle ryu/d2fixed ryu/d2s ryu/f2s stdexcept string system_error typeinfo valarray variant vector
  verbose_abort)
set(memory memory)
set(classic error_category mutex_destructor condition_variable_destructor)
set(iostream iostream)
set(streams regex strstream fstream ostream print ios ios.instantiations)
set(locale locale)
set(threads atomic barrier condition_variable future mutex shared_mutex thread random chrono experimental/keep)
set(files filesystem/directory_entry filesystem/directory_iterator filesystem/operations filesystem/filesystem_clock
  filesystem/filesystem_error filesystem/path)
set(abi cxa_aux_runtime cxa_default_handlers cxa_demangle cxa_exception cxa_exception_storage cxa_guard cxa_handlers cxa_personality
  cxa_thread_atexit cxa_vector cxa_virtual stdlib_exception stdlib_stdexcept stdlib_typeinfo abort_message fallback_malloc
  private_typeinfo)
set(new stdlib_new_delete)
set(options_abi "-D_LIBCXXABI_BUILDING_LIBRARY -DHAVE___CXA_THREAD_ATEXIT_IMPL")
set(options_new ${options_abi})
# Speed where programs spend their time; the rest is to be small, like the C library.
foreach(unit base memory threads)
  set(options_${unit} -O2)
endforeach()

function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${what} of libc++ failed (${status}).\n${output}")
  endif()
endfunction()

function(replace file from to)
  file(READ ${file} text)
  string(REPLACE "${from}" "${to}" changed "${text}")
  if(changed STREQUAL text)
    message(FATAL_ERROR "${file} is not that of LLVM ${VERSION}: \"${from}\" is not in it.")
  endif()
  file(WRITE ${file} "${changed}")
endfunction()

# The archive is the whole of LLVM. All that is taken lies in what its first 26 MB expand to, and the rest is not expanded: seconds
# instead of a minute. So the program that expands complains about an end that is missing; what is there is looked at afterwards.
function(have_sources)
  if(EXISTS ${SOURCE})
    return()
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} -E env AXVISOR_CACHE=${CACHE} ${XTASK} app source llvm-toolchain-19 ${VERSION} ${SHA256}
    RESULT_VARIABLE status OUTPUT_QUIET)
  if(status)
    message(FATAL_ERROR "libc++ ${VERSION}, the C++ library of applications with [os], cannot be had: see above.")
  endif()
  set(archive ${CACHE}/sha256/${SHA256})
  set(work ${CACHE}/libcxx/extracting)
  file(REMOVE_RECURSE ${work})
  file(MAKE_DIRECTORY ${work})
  execute_process(COMMAND head -c 26000000 ${archive} OUTPUT_FILE ${work}/begin.tar.xz)
  set(top llvm-toolchain-19_${VERSION})
  list(TRANSFORM wanted PREPEND ${top}/)
  execute_process(COMMAND ${CMAKE_COMMAND} -E tar xf begin.tar.xz -- ${wanted} WORKING_DIRECTORY ${work} ERROR_QUIET)
  foreach(name IN LISTS wanted)
    if(NOT EXISTS ${work}/${name})
      message(FATAL_ERROR "${archive} has no ${name} where it should.")
    endif()
  endforeach()
  set(left ${changes})
  while(left)
    list(POP_FRONT left file from to)
    replace(${work}/${top}/${file} "${from}" "${to}")
  endwhile()
  file(RENAME ${work}/${top} ${SOURCE})
  file(REMOVE_RECURSE ${work})
  file(REMOVE ${archive})
endfunction()

# ---- one Ninja file: objects of units, and the archive

function(compile name compiler source)
  list(JOIN ARGN " " options)
  set(edges "${edges}build ${name}.o: compile ${source}\n  command_line = ${compiler} ${options}\n" PARENT_SCOPE)
  set(objects ${objects} ${name}.o PARENT_SCOPE)
endfunction()

function(write_build)
  list(JOIN C " " c)
  list(JOIN CXX " " cxx)
  set(common "--target=${ARCH}-linux-musl ${FLAGS} -Os -ffunction-sections -fdata-sections -fno-stack-protector \
-fno-omit-frame-pointer -momit-leaf-frame-pointer -fvisibility=hidden -fbinutils-version=none -ffile-prefix-map=${SOURCE}=libcxx -nostdlibinc -DNDEBUG -w")
  set(system "-isystem ${OVERLAY} -isystem ${SYSROOT}/include -I${SOURCE}/libunwind/include")
  set(headers "-nostdinc++ -isystem ${OVERLAY} -isystem ${WORK}/include -isystem ${SOURCE}/libcxx/include \
-isystem ${SOURCE}/libcxxabi/include ${system} -I${SOURCE}/libcxx/src -I${SOURCE}/libcxxabi/src")
  set(library "-std=c++23 -D_LIBCPP_BUILDING_LIBRARY -D_LIBCPP_REMOVE_TRANSITIVE_INCLUDES \
-DLIBCXX_BUILDING_LIBCXXABI -D_GNU_SOURCE -faligned-allocation -fsized-deallocation -fvisibility-inlines-hidden")
  set(unwind "-D_LIBUNWIND_IS_NATIVE_ONLY -D_LIBUNWIND_IS_BAREMETAL -funwind-tables -I${SOURCE}/libunwind/src")
  set(objects)
  set(edges "")
  foreach(unit IN LISTS units)
    list(TRANSFORM ${unit} REPLACE "(.+)" "#include \"\\1.cpp\"\n" OUTPUT_VARIABLE text)
    string(JOIN "" text ${text})
    # Not the name of a source: it would include itself.
    file(CONFIGURE OUTPUT ${WORK}/unit_${unit}.cpp CONTENT "${text}" @ONLY)
    compile(${unit} "${cxx}" ${WORK}/unit_${unit}.cpp ${common} ${headers} ${library} ${options_${unit}})
  endforeach()
  compile(unwind "${cxx}" ${SOURCE}/libunwind/src/libunwind.cpp ${common} ${headers} ${unwind} -std=c++17 -fno-exceptions -fno-rtti)
  foreach(name UnwindLevel1.c UnwindLevel1-gcc-ext.c UnwindRegistersRestore.S UnwindRegistersSave.S)
    compile(${name} "${c}" ${SOURCE}/libunwind/src/${name} ${common} ${system} ${unwind})
  endforeach()
  compile(atomic.c "${c}" ${SOURCE}/compiler-rt/lib/builtins/atomic.c ${common} ${system})
  compile(thread_atexit.c "${c}" ${OVERLAY}/thread_atexit.c ${common} ${system})
  list(JOIN objects " " objects)
  file(WRITE ${WORK}/build.ninja "rule compile\n  command = $command_line -c $in -o $out\n\
rule archive\n  command = rm -f $out && ${AR} rcs $out $in\n${edges}build libc++.a: archive ${objects}\n")
endfunction()

function(build)
  file(REMOVE_RECURSE ${WORK})
  file(MAKE_DIRECTORY ${WORK}/include)
  file(COPY_FILE ${SOURCE}/libcxx/vendor/llvm/default_assertion_handler.in ${WORK}/include/__assertion_handler)
  write_build()
  run("compilation" ${NINJA} -C ${WORK})
  set(install ${CACHED}.new)
  file(REMOVE_RECURSE ${install})
  file(COPY ${SOURCE}/libcxx/include/ DESTINATION ${install}/include PATTERN "*.in" EXCLUDE PATTERN "CMakeLists.txt" EXCLUDE)
  file(COPY ${WORK}/include/__assertion_handler ${OVERLAY}/__config_site ${SOURCE}/libcxxabi/include/cxxabi.h
    ${SOURCE}/libcxxabi/include/__cxxabi_config.h ${SOURCE}/libunwind/include/unwind.h ${SOURCE}/libunwind/include/unwind_itanium.h
    ${SOURCE}/libunwind/include/__libunwind_config.h ${SOURCE}/libunwind/include/libunwind.h DESTINATION ${install}/include)
  file(COPY ${WORK}/libc++.a DESTINATION ${install}/lib)
  # Names that descriptions ask for: everything is in the one library.
  foreach(name c++abi unwind stdc++ supc++ atomic gcc_s gcc_eh gcc)
    file(WRITE ${install}/lib/lib${name}.a "!<arch>\n")
  endforeach()
  # Complete or not there at all.
  file(REMOVE_RECURSE ${CACHED})
  file(RENAME ${install} ${CACHED})
  file(REMOVE_RECURSE ${WORK})
endfunction()

file(MAKE_DIRECTORY ${CACHE}/libcxx)
file(LOCK ${CACHE}/libcxx/.lock GUARD PROCESS TIMEOUT 1800)
if(NOT EXISTS ${CACHED}/lib/libc++.a)
  have_sources()
  build()
endif()
file(REMOVE_RECURSE ${PRODUCT})
file(COPY ${CACHED}/ DESTINATION ${PRODUCT})
file(TOUCH ${PRODUCT}/lib/libc++.a)
