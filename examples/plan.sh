#!/usr/bin/env bash
# Plans with curl, in the three ways to ask for one: all at once, as events while the search goes on, and later.
#
#   examples/plan.sh [URL]
#
# URL is that of a running server (`make serve`), else $WAYMARK_URL or http://127.0.0.1:8000. A key, if the
# server wants one, is taken from $WAYMARK_KEY. Pictures go to $OUT, or to demo/plan. Needs curl 7.76 and python3.
set -euo pipefail
url=${1:-${WAYMARK_URL:-http://127.0.0.1:8000}}
out=${OUT:-demo/plan}
mkdir -p "$out"

# ask FILE ARGUMENTS: what the server replies goes into the file; a problem is shown, and the end.
ask() {
  local file=$1
  shift
  rm -f "$file"
  # The key travels on standard input, so that other users of this machine do not see it among the processes.
  curl --config - --silent --show-error --fail-with-body --output "$file" "$@" \
    <<<"${WAYMARK_KEY:+header = \"Authorization: Bearer $WAYMARK_KEY\"}" || {
    [[ -e $file ]] && cat "$file" >&2
    exit 1
  }
}

# field FILE NAME: a field of a JSON object.
field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$@"; }

echo "A scene, and its pictures:"
ask "$out/scene.json" "$url/v1/scenes" -H 'Content-Type: application/json' -d '{"environment": "push", "seed": 3}'
for picture in start goal; do
  field "$out/scene.json" $picture | base64 -d >"$out/$picture.png"
  echo "  $out/$picture.png"
done

echo "All at once:"
request=(-F "start=@$out/start.png" -F "goal=@$out/goal.png" -F 'request={"seed": 7}')
ask "$out/plan.json" "$url/v1/plans" "${request[@]}"
python3 - "$out" <<'PYTHON'
import base64, json, pathlib, sys

out = pathlib.Path(sys.argv[1])
plan = json.loads((out / "plan.json").read_text())
for subgoal in plan["subgoals"]:
    path = out / f"subgoal-{subgoal['index']}.png"
    path.write_bytes(base64.b64decode(subgoal["image"]))
    at = subgoal["object_position"]
    place = f"({at['x']:.1f}, {at['y']:.1f})" if at else "out of sight"
    print(f"  {path}: puck at {place} after {subgoal['step']:.0f} frames")
cost = "out of sight" if plan["cost"] is None else f"{plan['cost']:.2f} pixels from the goal"
print(f"  at the end {cost}; planned in {plan['timings']['total_ms']:.0f} ms")
PYTHON

echo "As events (the pictures among them are left out here):"
ask "$out/events.txt" -N "$url/v1/plans" -H 'Accept: text/event-stream' "${request[@]}"
grep -A 1 -E '^event: (queued|iteration)' "$out/events.txt" | sed -n 's/^data: /  /p'

echo "Later:"
ask "$out/begun.json" "$url/v1/plans" -H 'Prefer: respond-async' "${request[@]}"
id=$(field "$out/begun.json" id)
while
  ask "$out/status.json" "$url/v1/plans/$id"
  status=$(field "$out/status.json" status)
  echo "  /v1/plans/$id is $status"
  [[ $status == queued || $status == running ]]
do
  sleep 1
done
echo "The same request with the same seed: the same plan."
python3 - "$out" <<'PYTHON'
import json, pathlib, sys

out = pathlib.Path(sys.argv[1])
events = (out / "events.txt").read_text().split("\n")
streamed = json.loads(events[events.index("event: result") + 1].removeprefix("data: "))
plans = [json.loads((out / "plan.json").read_text()), streamed, json.loads((out / "status.json").read_text())["result"]]
print("  " + "\n  ".join(plan["digest"] for plan in plans))
sys.exit(len({plan["digest"] for plan in plans}) > 1)
PYTHON
