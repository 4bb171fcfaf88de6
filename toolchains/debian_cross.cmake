# What the toolchain files of this folder share. Each sets FT_BOARD before it includes this one: the
# profile in boards/ that says architecture, the compiler's flags and the core that QEMU shows to tests.
# A user may set FT_SYSROOT (on the command line or in the environment) to a sysroot of their own,
# say a copy of a board's /lib and /usr; otherwise script/sysroot makes one.

file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/../boards/${FT_BOARD}.toml" FT_PROFILE)
foreach(line IN LISTS FT_PROFILE)
  if(line MATCHES "^(architecture|flags|qemu_cpu) = \"([^\"]*)\"")
    set(FT_PROFILE_${CMAKE_MATCH_1} "${CMAKE_MATCH_2}")
  endif()
endforeach()

set(CMAKE_SYSTEM_NAME Linux)
if(FT_PROFILE_architecture STREQUAL "aarch64")
  set(FT_TARGET_ARCH arm64)  # Debian's name
  set(CMAKE_SYSTEM_PROCESSOR aarch64)
  set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
  set(FT_QEMU qemu-aarch64-static)
else()
  set(FT_TARGET_ARCH armhf)
  set(CMAKE_SYSTEM_PROCESSOR armv7l)
  set(CMAKE_LIBRARY_ARCHITECTURE arm-linux-gnueabihf)
  set(FT_QEMU qemu-arm-static)
endif()
set(CMAKE_C_COMPILER ${CMAKE_LIBRARY_ARCHITECTURE}-gcc)
set(CMAKE_CXX_COMPILER ${CMAKE_LIBRARY_ARCHITECTURE}-g++)

# try_compile reads this file again, without the command line's variables.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES FT_SYSROOT)
if(NOT FT_SYSROOT)
  set(FT_SYSROOT "$ENV{FT_SYSROOT}")
endif()
if(FT_SYSROOT)
  get_filename_component(CMAKE_SYSROOT "${FT_SYSROOT}" ABSOLUTE)
  if(NOT EXISTS "${CMAKE_SYSROOT}/usr/include")
    message(FATAL_ERROR "FT_SYSROOT=${FT_SYSROOT}: there is no usr/include; name the root of a "
                        "board's file system, or leave it out to use Debian's packages")
  endif()
else()
  get_filename_component(FT_PROJECT "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
  set(CMAKE_SYSROOT "${FT_PROJECT}/build/sysroot/${FT_TARGET_ARCH}")
  get_property(FT_IN_TRY_COMPILE GLOBAL PROPERTY IN_TRY_COMPILE)
  if(NOT FT_IN_TRY_COMPILE)
    execute_process(COMMAND "${FT_PROJECT}/script/sysroot" ${FT_TARGET_ARCH}
                    RESULT_VARIABLE FT_SYSROOT_FAILED OUTPUT_QUIET)
    if(FT_SYSROOT_FAILED)
      message(FATAL_ERROR "script/sysroot ${FT_TARGET_ARCH} failed; run it by hand, or set "
                          "FT_SYSROOT to the root of a board's file system")
    endif()
  endif()
endif()

set(CMAKE_C_FLAGS_INIT "${FT_PROFILE_flags}")
set(CMAKE_CXX_FLAGS_INIT "${FT_PROFILE_flags}")
# GCC 12 tells of a change of the C++ ABI in GCC 7 on 32-bit ARM, once per use; all of ours is newer.
if(FT_TARGET_ARCH STREQUAL "armhf")
  string(APPEND CMAKE_CXX_FLAGS_INIT " -Wno-psabi")
endif()
# Libraries of libraries, where Debian's alternatives put BLAS, and where merged /usr is missing.
foreach(folder usr/lib lib)
  string(APPEND FT_RPATH_LINK
         " -Wl,-rpath-link,${CMAKE_SYSROOT}/${folder}/${CMAKE_LIBRARY_ARCHITECTURE}")
endforeach()
set(CMAKE_EXE_LINKER_FLAGS_INIT "${FT_RPATH_LINK}")

# Programs come from this machine (protoc), everything else from the sysroot.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_DIR} "")
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${CMAKE_SYSROOT}")
set(ENV{PKG_CONFIG_LIBDIR} "${CMAKE_SYSROOT}/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/pkgconfig:\
${CMAKE_SYSROOT}/usr/lib/pkgconfig:${CMAKE_SYSROOT}/usr/share/pkgconfig")

# Programs of the board run here under QEMU's user mode: tests, and what the build itself runs.
# QEMU finds the loader in the sysroot; what is linked there it finds by LD_LIBRARY_PATH, because
# the sysroot has no ld.so.cache and, for armhf, other folders than the loader's own list.
set(FT_LIBRARY_PATH "${CMAKE_SYSROOT}/lib/${CMAKE_LIBRARY_ARCHITECTURE}:\
${CMAKE_SYSROOT}/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}")
set(CMAKE_CROSSCOMPILING_EMULATOR
    ${FT_QEMU} -L ${CMAKE_SYSROOT} -cpu ${FT_PROFILE_qemu_cpu} -E LD_LIBRARY_PATH=${FT_LIBRARY_PATH})
