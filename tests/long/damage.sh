#!/usr/bin/env bash
# damage.sh: one bit or two of every byte of a segment of a mebibyte flipped; every allocation and every call of the
# system fails once, in six folders; every bit of every file of a data folder flipped, a cut at every byte, and all
# else that sim_damage does (CI: a share of each): some 40 minutes of one processor. In parts, and resumable: parts
# that are done for this commit are not done again.
# PACE: a command that each part runs under.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
parts=16
seed=${SLUICE_SEED:-1}
state=${SLUICE_STATE:-build/long}/damage-$seed
read -ra pace <<<"${PACE:-env}"
mkdir -p "$state"

# part NAME COMMAND…: its output is kept when it ends well.
part() {
  local output=$state/$1
  shift
  if [ -e "$output" ]; then return 0; fi
  "${pace[@]}" "$@" >"$output~" 2>&1 || {
    cat "$output~"
    echo "failed: $*"
    exit 1
  }
  mv "$output~" "$output"
}

# sum WORD COLUMNS: of tables of all parts, the rows with the same two first words.
sum() {
  awk -v name="$1" -v titles="$2" 'NF == 6 && $3 $6 ~ /^[0-9]+$/ {
      row = $1 " " $2
      if (!seen[row]++) order[++count] = row
      for (i = 3; i <= 6; i++) { sums[row, i] += $i; all[i] += $i }
    }
    END {
      split(titles, title, " ")
      printf "%-20s %-20s %9s %9s %9s %9s\n", name, "", title[1], title[2], title[3], title[4]
      for (i = 1; i <= count; i++) {
        row = order[i]
        split(row, word, " ")
        printf "%-20s %-20s %9d %9d %9d %9d\n", word[1], word[2], sums[row, 3], sums[row, 4], sums[row, 5], sums[row, 6]
      }
      printf "%-41s %9d %9d %9d %9d\n", "in all", all[3], all[4], all[5], all[6]
    }' "${@:3}"
}

for number in 1 2 3 4 5 6; do
  part "failures-$number" build/test/bin/sim_failures --every 1 --seed $((seed + number - 1)) --steps 2500 \
    --processes "$(nproc)"
done
for ((number = 0; number < parts; number++)); do
  part "damage-$number" build/test/bin/sim_damage --every 1 --bits 8 --seed "$seed" --processes "$(nproc)" \
    --parts $parts --part $number
done
# Each seventh bit is one at least of each byte, and each of the eight in its turn.
part segment env SLUICE_DAMAGE_EVERY=7 SLUICE_DAMAGE_FIRST=$((seed % 7)) \
  build/test/tests/test_wal --filter 'wal_damage/*mebibyte*'

cat "$state"/failures-?
sum "a segment of 1 MiB" "refused torn in_body harmless" "$state"/segment
sum "a data folder" "done refused told harmless" "$state"/damage-*
grep -h ' faults' "$state"/damage-* | sort | uniq -c
