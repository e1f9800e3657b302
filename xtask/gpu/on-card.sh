#!/bin/sh
# Checks and times burn-grow on this machine's card, in under eight minutes, and writes one report.
#
#   sh on-card.sh [PROGRAMS [OUT]]
#
# PROGRAMS: the folder of the programs. Without it, programs.tar.xz beside this script is unpacked.
# OUT: where report.md and the log of every part are written; $OUT or ./on-card if not given.
# BURN_GROW_DEVICE names the device (cuda). With a python3 that has torch, PyTorch is timed beside.
# Every part has a limit of its own: one that hangs leaves time for the others.
set -u
here=$(cd "$(dirname "$0")" && pwd)
out=${2:-${OUT:-on-card}}
mkdir -p "$out" && out=$(cd "$out" && pwd)
if [ $# -ge 1 ]; then
    programs=$(cd "$1" && pwd)
else
    programs=$(mktemp -d)
    if command -v xz >/dev/null; then
        xz -dc "$here/programs.tar.xz" | tar -x -C "$programs" -f - || exit 1
    else # Python unpacks it, too
        python3 -m tarfile -e "$here/programs.tar.xz" "$programs" || exit 1
    fi
fi
cd "$programs" || exit 1

BURN_GROW_DEVICE=${BURN_GROW_DEVICE:-cuda}
RAYON_NUM_THREADS=${RAYON_NUM_THREADS:-8}
BURN_GROW_PYTHON=$(command -v python3)
RUST_BACKTRACE=1
export BURN_GROW_DEVICE RAYON_NUM_THREADS BURN_GROW_PYTHON RUST_BACKTRACE
report=$out/report.md
failed=0

# part NAME SECONDS COMMAND...: runs the command, and puts the end of what it prints in the report.
part() {
    name=$1 limit=$2
    shift 2
    start=$(date +%s)
    timeout "$limit" "$@" >"$out/$name.log" 2>&1
    status=$?
    [ $status -eq 0 ] || failed=1
    {
        echo "## $name: exit $status, $(($(date +%s) - start)) s of $limit"
        echo '```'
        tail -n 40 "$out/$name.log"
        echo '```'
    } | tee -a "$report"
    return $status
}

{
    echo "# $BURN_GROW_DEVICE, $(date -u +%Y-%m-%dT%H:%MZ)"
    echo '```'
    nvidia-smi 2>&1 | sed -n 1,20p
    ldconfig -p 2>/dev/null | grep -E 'libcuda|libnvrtc|libvulkan'
    python3 -c 'import torch; print("PyTorch", torch.__version__, torch.cuda.get_device_name())' 2>&1 |
        tail -n 1
    echo '```'
} | tee "$report"

# Without a device nothing else can run.
part quick 60 ./lab demo --quick --device "$BURN_GROW_DEVICE" --corpus corpus.txt \
    --out "$out/run-quick" || exit 1
part checks 100 env BURN_GROW_CHECKS=short ./checks
part bench-moe 100 env BURN_GROW_TORCH=eager,grouped ./bench-moe
part bench-expansion 45 ./bench-expansion
# Not packed: a program more does not fit.
[ ! -x bench-growth ] || part bench-growth 30 ./bench-growth
# The losses of the first steps beside those of the processor.
for device in "$BURN_GROW_DEVICE" flex; do
    part "losses-$device" 40 ./lab demo --device "$device" --corpus corpus.txt --runs sparkling \
        --steps 100 --out "$out/run-$device"
    cp "$out/run-$device/report.json" "$out/losses-$device.json" 2>/dev/null
done
# Last, as PyTorch may compile for minutes.
part bench-moe-compiled 60 env BURN_GROW_TORCH='compiled grouped' ./bench-moe
rm -rf "$out"/run-*
exit $failed
