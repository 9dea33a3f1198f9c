#!/usr/bin/env bash
# restore.sh BACKUP DATA: makes the folder DATA, which must be new or empty, from a backup: a file, or the newest in a
# folder of backup.sh.
set -euo pipefail
umask 077

if (($# != 2)); then
	sed -n '2,3s/^# //p' "$0" >&2
	exit 2
fi
backup=$(realpath "$1") data=$(realpath --canonicalize-missing "$2")
if [[ -d $backup ]]; then
	files=("$backup"/sd-on-eks-????????T??????Z.tar)
	backup=${files[-1]}
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

cd "$root"
"${PYTHON:-$root/.venv/bin/python}" -m local.kept.restore "$data" "$backup"
echo "It has the state of $(basename "$backup"). Jobs that ran then run again." >&2
