#!/usr/bin/env bash
# backup.sh DATA FOLDER [COUNT]: writes all that the platform keeps in DATA to a new file in FOLDER, while it runs, and
# deletes the oldest of these files but COUNT (7).
set -euo pipefail
umask 077

if (($# < 2 || $# > 3)) || [[ ! ${3-7} =~ ^[1-9][0-9]*$ ]]; then
	sed -n '2,3s/^# //p' "$0" >&2
	exit 2
fi
data=$(realpath "$1") folder=$2 count=${3-7}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}

mkdir -p "$folder"
folder=$(realpath "$folder")
exec 9>"$folder/.lock"
flock --nonblock 9 || { echo "Another backup writes to $folder." >&2; exit 1; }
rm -f "$folder"/sd-on-eks-*.tar.part # of a backup that was killed

file=$folder/sd-on-eks-$(date --utc +%Y%m%dT%H%M%SZ).tar
[[ ! -e $file ]] || { echo "$file is already there." >&2; exit 1; }
trap 'rm -f "$file.part"' EXIT
cd "$root"
"$python" -m local.kept.backup "$data" "$file"

files=("$folder"/sd-on-eks-????????T??????Z.tar) # by their names: the oldest first
((${#files[@]} <= count)) || rm -f "${files[@]:0:${#files[@]}-count}"
