# Sourced by jobs/run and tests/run: finds what nicho is built with, gets what is missing, and says so.
#
# Sets root (the folder of the project), target (build products), features (for cargo's --features), and, after
# need_python, NICHO_PYTHON; after need_browser, NICHO_BROWSER; after need_mpi, MPICC and NICHO_MPIRUN. Everything that it
# makes is in target/setup; removing that folder makes it choose again.
# shellcheck shell=bash disable=SC2034 # what it sets is used by the scripts that source it

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
setup=$target/setup
features=
[[ -t 2 ]] || export CARGO_TERM_QUIET=true # cargo's progress is for a person who watches
mkdir -p "$setup"

say() { printf '[set-up] %s\n' "$*" >&2; }
die() {
    printf '[set-up] STOP: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '[set-up]   %s\n' "$line" >&2; done
    exit 69
}
have() { command -v "$1" >/dev/null 2>&1; }
# at_least HAVE WANT: is version HAVE at least WANT?
at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -1) == "$2" ]]; }
# logged COMMAND...: runs quietly; on failure shows the end of what it printed.
logged() {
    "$@" >"$setup/log" 2>&1 </dev/null || {
        say "this failed: $*"
        tail -5 "$setup/log" | sed 's/^/[set-up]   | /' >&2
        return 1
    }
}

# --- System packages ------------------------------------------------------------------------------------------------

# The package manager, if this user may use it without being asked anything. Tried: apt-get. The others are untested.
manager=
as_root=
for name in apt-get dnf yum zypper apk pacman; do
    have "$name" || continue
    if [[ $(id -u) == 0 ]]; then
        manager=$name
    elif have sudo && sudo -n true 2>/dev/null; then
        manager=$name as_root='sudo -n'
    fi
    break
done
[[ -n $manager ]] || ! have brew || manager=brew

# packages THING: what this package manager calls it.
packages() {
    case $manager:$1 in
        apt-get:cc) echo gcc libc6-dev ;;
        apk:cc) echo gcc musl-dev ;;
        *:cc) echo gcc ;;
        apt-get:hdf5) echo libhdf5-dev pkg-config ;;
        dnf:hdf5 | yum:hdf5) echo hdf5-devel pkgconf-pkg-config ;;
        zypper:hdf5) echo hdf5-devel pkg-config ;;
        apk:hdf5) echo hdf5-dev pkgconf ;;
        pacman:hdf5 | brew:hdf5) echo hdf5 pkgconf ;;
        apt-get:python) echo python3-venv ;;
        apk:python) echo python3 py3-pip ;;
        pacman:python) echo python ;;
        *:python) echo python3 ;;
        apt-get:openmpi) echo openmpi-bin libopenmpi-dev ;;
        apt-get:mpich) echo mpich libmpich-dev ;;
        dnf:openmpi | yum:openmpi | dnf:mpich | yum:mpich) echo "$1-devel" ;;
        zypper:openmpi) echo openmpi4-devel ;;
        zypper:mpich) echo mpich-devel ;;
        apk:openmpi | apk:mpich) echo "$1 $1-dev" ;;
        brew:openmpi) echo open-mpi ;;
        apt-get:libclang) echo libclang1 ;;
        dnf:libclang | yum:libclang) echo clang-libs ;;
        zypper:libclang) echo libclang13 ;;
        apk:libclang) echo clang-libclang ;;
        pacman:libclang) echo clang ;;
        brew:libclang) echo llvm ;;
        *:browser) echo chromium ;;
        apt-get:slurm) echo slurmctld slurmd slurm-client munge ;;
        dnf:shellcheck | yum:shellcheck | zypper:shellcheck) echo ShellCheck ;;
        *) echo "$1" ;;
    esac
}

# get THING WHY: installs it by the package manager; fails if there is none that may be used.
# shellcheck disable=SC2046,SC2086 # lists of words on purpose
get() {
    [[ -n $manager ]] || return 1
    say "installing $(packages "$1") with $manager: $2"
    case $manager in
        apt-get)
            logged $as_root apt-get update -q &&
                logged $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $(packages "$1")
            ;;
        dnf | yum) logged $as_root $manager install -y $(packages "$1") ;;
        zypper) logged $as_root zypper --non-interactive install $(packages "$1") ;;
        apk) logged $as_root apk add $(packages "$1") ;;
        pacman) logged $as_root pacman -Sy --noconfirm --needed $(packages "$1") ;;
        brew) logged brew install $(packages "$1") ;;
    esac
}

# --- Rust and the C compiler ----------------------------------------------------------------------------------------

need_compilers() {
    local want version
    want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
    { have cargo && have rustc; } || die "there is no Rust toolchain (cargo, rustc), and this script does not install one" \
        "get it with:  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . \"\$HOME/.cargo/env\""
    version=$(rustc --version | cut -d' ' -f2)
    if ! at_least "${version%%-*}" "$want"; then
        have rustup && die "Rust $version is too old, nicho needs $want" "get it with:  rustup update stable"
        die "Rust $version is too old, nicho needs $want" \
            "get it with:  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . \"\$HOME/.cargo/env\""
    fi
    have cc || get cc "Rust links with the C compiler" || true
    have cc || die "there is no C compiler (cc), and Rust links with it" "install gcc or clang, or load its module"
}

# --- HDF5 -----------------------------------------------------------------------------------------------------------

# hdf5_version INCLUDE: version of the HDF5 with these headers.
hdf5_version() {
    { cat "$1"/H5pubconf.h "$1"/H5pubconf-64.h 2>/dev/null || true; } | sed -n 's/^#define H5_VERSION "\([0-9.]*\).*/\1/p'
}

# Does nicho build and work with it? The crate hdf5-metno-sys knows the versions up to 2.2.
hdf5_fits() {
    local version
    version=$(hdf5_version "$1")
    case $version in
        1.10.* | 1.12.* | 1.14.* | 2.0.* | 2.1.* | 2.2.*) at_least "$version" 1.10.2 ;;
        *) return 1 ;;
    esac
}

# Finds HDF5 where hdf5-metno-sys will look for it; sets hdf5_where, and HDF5_DIR if only h5cc knows.
find_hdf5() {
    local folder
    if [[ -n ${HDF5_DIR:-} ]]; then
        hdf5_fits "$HDF5_DIR/include" || die "HDF5_DIR is $HDF5_DIR, which has no HDF5 of a version from 1.10.2 to 2.2 (include/H5pubconf.h)" \
            "load another module, or unset HDF5_DIR"
        hdf5_where="HDF5 $(hdf5_version "$HDF5_DIR/include") of HDF5_DIR=$HDF5_DIR, as the environment asks"
        return 0
    fi
    if have pkg-config && pkg-config --exists hdf5 2>/dev/null; then
        for folder in $(pkg-config --cflags-only-I --keep-system-cflags hdf5 | sed 's/-I//g'); do
            hdf5_fits "$folder" || continue
            hdf5_where="the system's HDF5 $(hdf5_version "$folder"), found by pkg-config"
            return 0
        done
        return 1
    fi
    case $(uname -sm) in
        'Linux x86_64') set -- /usr/include/hdf5/serial /usr/include ;;
        Darwin*) set -- "$(brew --prefix hdf5 2>/dev/null || true)/include" ;;
        *) set -- ;;
    esac
    for folder; do
        hdf5_fits "$folder" || continue
        hdf5_where="the system's HDF5 $(hdf5_version "$folder"), found in $folder"
        return 0
    done
    have h5cc || return 1
    folder=$(h5cc -showconfig 2>/dev/null | sed -n 's/.*Installation point: *//p')
    hdf5_fits "$folder/include" || return 1
    export HDF5_DIR=$folder
    hdf5_where="HDF5 $(hdf5_version "$folder/include") in $folder, found by h5cc"
}

use_system_hdf5() {
    say "HDF5: $hdf5_where"
    printf 'system\n%s\n' "${HDF5_DIR:-}" >"$setup/hdf5"
    [[ -z ${HDF5_DIR:-} ]] || export LD_LIBRARY_PATH="$HDF5_DIR/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

# Bundled HDF5, linked statically. The build needs cmake 3.26 and make or ninja.
use_bundled_hdf5() {
    local version venv=$setup/cmake
    if [[ -n ${HDF5_DIR:-} ]]; then
        say "HDF5_DIR is left aside: the choice was the bundled HDF5"
        unset HDF5_DIR
    fi
    features=hdf5-static
    version=$("${CMAKE:-cmake}" --version 2>/dev/null | sed -n 's/^cmake version \([0-9.]*\).*/\1/p' || true)
    if [[ -n $version ]] && at_least "$version" 3.26 && have make; then
        export CMAKE=${CMAKE:-cmake}
        say "HDF5: the bundled one, linked statically, by cmake $version of this machine"
    else
        if [[ ! -x $venv/bin/cmake || ! -x $venv/bin/ninja ]]; then
            say "getting cmake and ninja by pip into $venv: HDF5 will be built, and cmake 3.26 or newer is not here (found: ${version:-none})"
            { make_venv "$venv" && pip_of "$venv" install -q cmake ninja; } || die "cmake 3.26 or newer is needed to build HDF5" \
                "install one of:  cmake >= 3.26;  Python 3 with pip or venv (python3-venv), then this script gets cmake;" \
                "HDF5 with its headers (libhdf5-dev, hdf5-devel; on a cluster a module), found by pkg-config, h5cc or HDF5_DIR"
        fi
        export CMAKE=$venv/bin/cmake CMAKE_GENERATOR=Ninja PATH=$venv/bin:$PATH
        say "HDF5: the bundled one, linked statically, by cmake in $venv"
    fi
    printf 'static\n\n' >"$setup/hdf5"
}

# Which HDF5: NICHO_HDF5 (static, system) if set, else as the last time, else the first that can be had of: HDF5_DIR, the
# system's, the system's once installed, the bundled one.
need_hdf5() {
    local choice=${NICHO_HDF5:-} before='' folder=''
    if [[ -f $setup/hdf5 ]]; then
        { read -r before && read -r folder; } <"$setup/hdf5" || true
        if [[ -z ${HDF5_DIR:-}$choice && -n $folder ]] && hdf5_fits "$folder/include"; then export HDF5_DIR=$folder; fi
    fi
    [[ -n ${HDF5_DIR:-} ]] || unset HDF5_DIR
    case ${choice:-$before} in
        static) use_bundled_hdf5 ;;
        system | '')
            if find_hdf5 || { get hdf5 "result files are HDF5" && find_hdf5; }; then
                use_system_hdf5
            elif [[ $choice == system ]]; then
                die "NICHO_HDF5=system, but there is no HDF5 of a version from 1.10.2 to 2.2 with its headers"
            else
                say "there is no HDF5 with headers here, and none that I may install: the bundled one will be built"
                use_bundled_hdf5
            fi
            ;;
        *) die "NICHO_HDF5=$choice: it may be system or static" ;;
    esac
}

# --- Python ---------------------------------------------------------------------------------------------------------

# make_venv FOLDER: a virtual environment, also where Python has pip but not venv's own (Debian without python3-venv).
make_venv() {
    have python3 || { say "there is no python3" && return 1; }
    rm -rf "$1"
    python3 -m venv "$1" >"$setup/log" 2>&1 && return
    logged python3 -m pip --version && logged python3 -m venv --clear --without-pip "$1"
}

# pip_of FOLDER ARGUMENTS...: pip for that virtual environment.
pip_of() {
    local venv=$1
    shift
    if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        logged "$venv/bin/python" -m pip --disable-pip-version-check "$@"
    else
        logged python3 -m pip --disable-pip-version-check --python "$venv/bin/python" "$@"
    fi
}

# Python with the packages of tests/python/requirements.txt; fails, having said why, if they cannot be had.
need_python() {
    local venv=$setup/python wanted=$root/tests/python/requirements.txt
    if ! cmp -s "$wanted" "$venv/requirements.txt"; then
        if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
            get python "the tests open a result file with h5py, xarray and ArviZ" || true
        fi
        python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
            { say "the Python packages need Python 3.11 or newer; this is $(python3 --version 2>&1 || echo none)" && return 1; }
        say "installing $(grep -c == "$wanted") Python packages into $venv: the tests open a result file with them"
        make_venv "$venv" && pip_of "$venv" install -q -r "$wanted" || return 1
        cp "$wanted" "$venv/requirements.txt"
    fi
    export NICHO_PYTHON=$venv/bin/python
}

# --- A browser ------------------------------------------------------------------------------------------------------

# A Chromium, in which the tests look at the pages of reports: that of NICHO_BROWSER, else the first that is here, else once
# installed. Fails if it cannot be had.
find_browser() {
    local name
    for name in ${NICHO_BROWSER:-} chromium chromium-browser google-chrome google-chrome-stable; do
        have "$name" || continue
        NICHO_BROWSER=$(command -v "$name")
        export NICHO_BROWSER
        return 0
    done
    return 1
}
need_browser() {
    find_browser || { get browser "the tests look at the pages of reports in it" && find_browser; }
}

# --- MPI ------------------------------------------------------------------------------------------------------------

# mpi_version MPICC: which MPI this compiler wrapper is of, its kind first, as in "openmpi Open MPI 4.1.4"; fails if none.
mpi_version() {
    local said
    have "$1" || return 1
    if said=$("$1" --showme:version 2>/dev/null); then
        said=${said#*: }
        echo "openmpi ${said% (*}"
    else
        # MPICH and its kin: "mpicc for MPICH version 4.0.2", and behind it what the C compiler says.
        said=$("$1" -v 2>/dev/null) || return 1
        said=${said%%$'\n'*}
        [[ $said == *' for '* ]] && echo "mpich ${said#* for }"
    fi
}

# find_mpi KIND: the first MPI of that kind (any, if it is empty) with compiler wrapper and mpirun; sets found (as mpi_version
# says it), mpicc and mpirun. MPICC of the environment comes first, then what a module or the system calls mpicc.
find_mpi() {
    local wrapper
    for wrapper in ${MPICC:-} mpicc mpicc.openmpi mpicc.mpich; do
        found=$(mpi_version "$wrapper") || continue
        [[ -z $1 || $found == "$1 "* ]] || continue
        mpicc=$(command -v "$wrapper")
        mpirun=${mpicc%mpicc*}mpirun${mpicc##*mpicc}
        if have "$mpirun"; then return 0; fi
    done
    return 1
}

have_libclang() {
    [[ -n ${LIBCLANG_PATH:-} || $(PATH=$PATH:/sbin ldconfig -p 2>/dev/null) =~ libclang(-[0-9]+)?\.so ]] ||
        compgen -G '/usr/lib*/llvm*/lib*/libclang.*' >/dev/null ||
        compgen -G '/usr/lib*/llvm*/lib*/libclang-[0-9]*' >/dev/null # not libclang-cpp, which is another library
}

# libclang, by which the crate mpi-sys reads the headers of MPI. From pip where a cluster has an MPI and no libclang.
need_libclang() {
    local venv=$setup/libclang
    if ! have_libclang && ! { get libclang "it reads the headers of MPI" && have_libclang; }; then
        if ! compgen -G "$venv/lib/python*/site-packages/clang/native/libclang*" >/dev/null; then
            say "getting libclang by pip into $venv: it reads the headers of MPI"
            make_venv "$venv" && pip_of "$venv" install -q libclang || return 1
        fi
        LIBCLANG_PATH=$(echo "$venv"/lib/python*/site-packages/clang/native)
        export LIBCLANG_PATH
    fi
    # It may come without its own stddef.h; then that of the C compiler does.
    BINDGEN_EXTRA_CLANG_ARGS="${BINDGEN_EXTRA_CLANG_ARGS:-} -idirafter $(cc -print-file-name=include)"
    export BINDGEN_EXTRA_CLANG_ARGS
}

# MPI, for ranks on several machines: of the kind that NICHO_MPI names (openmpi, mpich; none for none), else the one that is
# here, else Open MPI once installed. Fails, having said why, if it cannot be had.
need_mpi() {
    local kind=${NICHO_MPI:-} found mpicc mpirun
    case $kind in
        none) say "MPI: none, as NICHO_MPI asks" && return 1 ;;
        openmpi | mpich | '') ;;
        *) die "NICHO_MPI=$kind: it may be openmpi, mpich or none" ;;
    esac
    if ! find_mpi "$kind" && ! { get "${kind:-openmpi}" "ranks on several machines talk through it" && find_mpi "$kind"; }; then
        say "MPI: there is no ${kind:-MPI} here (no mpicc with its mpirun; on a cluster, load its module), and none that I may install"
        return 1
    fi
    need_libclang || { say "MPI: ${found#* } is here, but no libclang to read its headers, and none that I may install" && return 1; }
    say "MPI: ${found#* }, by $mpicc"
    features=${features:+$features,}mpi
    export MPICC=$mpicc NICHO_MPIRUN=$mpirun
    # mpi-sys is not built again by itself when MPICC is another.
    if [[ $(cat "$setup/mpi" 2>/dev/null) != "$found, $mpicc" ]]; then
        logged cargo clean -p mpi-sys --manifest-path "$root/Cargo.toml" --target-dir "$target"
        logged cargo clean -p mpi-sys --manifest-path "$root/Cargo.toml" --target-dir "$target" --release
        printf '%s' "$found, $mpicc" >"$setup/mpi"
    fi
}

# After need_mpi, the other kind of MPI; sets second, second_mpicc and second_mpirun. Fails if it cannot be had.
need_second_mpi() {
    local found mpicc mpirun
    second=mpich
    [[ $(mpi_version "$MPICC") != mpich* ]] || second=openmpi
    find_mpi $second || { get $second "the tests run on both kinds of MPI" && find_mpi $second; } || return 1
    second_mpicc=$mpicc second_mpirun=$mpirun
    say "MPI: ${found#* } as well, by $mpicc"
}

# --- Slurm ----------------------------------------------------------------------------------------------------------

have_slurm() {
    local name
    for name in slurmctld slurmd munged srun; do
        PATH=$PATH:/usr/sbin:/sbin have $name || return 1
    done
}

# The daemons and commands of Slurm, for a cluster of the tests' own; fails if they cannot be had.
need_slurm() {
    local policy=/usr/sbin/policy-rc.d
    have_slurm && return
    [[ $manager == apt-get ]] || return 1
    # Debian starts the services that it installs, unless this file says no.
    if [[ -e $policy ]]; then
        get slurm "the tests bring up a cluster of their own"
    else
        printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null && $as_root chmod 755 $policy
        get slurm "the tests bring up a cluster of their own" || true
        $as_root rm -f $policy
    fi
    have_slurm
}
