# shellcheck shell=bash
# Sourced by the scripts beside it: finds Python, makes the environment that holds the rest, and starts a module there.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.11 or later is needed. Install it, then run the same command again." >&2
    return 1
}

has_option() {
    local wanted=$1 argument
    shift
    for argument; do
        [[ $argument == "$wanted" ]] && return
    done
    return 1
}

# make_environment [GROUP]: what looks at an account, or with group cdk also what deploys to it.
make_environment() {
    local python group=${1:-deploy}
    python=$(find_python)
    if ! command -v make >/dev/null; then
        echo "make is needed. Install it, then run the same command again." >&2
        return 1
    fi
    make --silent --directory="$root" PYTHON="$python" ".venv/stamps/$group" >&2
}

# Python must not look into the caller's folder first: what lies there may be called like a module.
run() {
    PYTHONPATH=$root "$root/.venv/bin/python" -P -m "$@"
}

# As run does, and in place of the script.
start() {
    PYTHONPATH=$root exec "$root/.venv/bin/python" -P -m "$@"
}
