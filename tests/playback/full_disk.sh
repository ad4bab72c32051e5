# A data folder on a disk of three megabytes that fills up while the service runs, and is then enlarged.
#
# usage: unshare --map-root-user --mount bash full_disk.sh REELKEY FOLDER
#
# Prints the KIDs that were acknowledged, a line with what the last command said, and the KIDs that are there afterwards.
set -euo pipefail
reelkey=$1 folder=$2
mount -t tmpfs -o size=3m tmpfs "$folder"
data=$folder/data
"$reelkey" init --data "$data" >/dev/null
"$reelkey" content add movies/bunny --policy default --data "$data" >/dev/null

"$reelkey" serve --data "$data" --listen 127.0.0.1:0 >"$folder/ready" 2>/dev/null &
service=$!
for _ in $(seq 1200); do
    grep -q ready "$folder/ready" && break
    sleep 0.05
done
port=$(grep -o '127.0.0.1:[0-9]*' "$folder/ready" | cut -d: -f2)
head -c 600000 /dev/zero >"$folder/other"

for _ in $(seq 3000); do
    answer=$("$reelkey" key generate movies/bunny --json --data "$data") || break
    echo "acknowledged $answer"
done
echo "said $answer"
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >&3
echo "ready $(head -1 <&3)"
kill -TERM $service
wait $service && echo "ended well"

mount -o remount,size=64m "$folder"
"$reelkey" key generate movies/bunny --data "$data" >/dev/null
"$reelkey" key list --json --data "$data" | tr '}' '\n' | sed 's/^/there /'
