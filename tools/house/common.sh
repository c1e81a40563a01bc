# Shared by ./demo and ./check: package installation and the build.
# Sourced with the tree's root as working directory.

BUILD_PACKAGES="build-essential meson ninja-build pkg-config python3
    libglib2.0-dev zlib1g-dev libzstd-dev libgnutls28-dev liburing-dev
    libjansson-dev libcapstone-dev libfdt-dev libslirp-dev"

say() {
    printf '== %s\n' "$*"
}

# install_packages NAME...: installs what dpkg does not have yet.
install_packages() {
    missing=""
    for package in "$@"; do
        state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
        [ "$state" = "install ok installed" ] || missing="$missing $package"
    done
    if [ -z "$missing" ]; then
        say "all needed packages are installed"
        return 0
    fi
    say "installing packages:$missing"
    sudo=""
    if [ "$(id -u)" != 0 ]; then
        sudo=sudo
        command -v sudo >/dev/null || {
            echo "error: not root and no sudo; install by hand:$missing" >&2
            exit 1
        }
    fi
    log=$(mktemp)
    # Word splitting of $missing is meant.
    # shellcheck disable=SC2086
    if ! { $sudo apt-get update -q &&
           $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy \
               --no-install-recommends $missing; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        echo "error: package installation failed" >&2
        exit 1
    fi
    rm -f "$log"
}

# build_tree DIR: configures DIR once and builds it; quiet unless it fails.
build_tree() {
    dir=$1
    log=$(mktemp)
    if [ ! -f "$dir/build.ninja" ]; then
        say "configuring $dir"
        if ! meson setup "$dir" --buildtype=release \
                -Db_ndebug=false >"$log" 2>&1; then
            cat "$log" >&2
            rm -f "$log"
            exit 1
        fi
    fi
    say "building in $dir"
    if ! ninja -C "$dir" >"$log" 2>&1; then
        grep -v '^\[[0-9]*/[0-9]*\] Compiling' "$log" | tail -n 60 >&2
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
}
