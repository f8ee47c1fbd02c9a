#!/bin/sh
# Regenerates main/java/dev/gatun/bindings/generated from the C headers.
#
#   JEXTRACT=/path/to/jextract bindings/regenerate.sh [LLAMA_CPP_DIR]
#
# jextract must run on libclang 13 or 14: newer ones describe these headers in a way that gives invalid Java.
# LLAMA_CPP_DIR is a checkout of the pinned llama.cpp; GATUN_LLAMA_CPP_DIR and what the native build left are tried too.
# The result depends on nothing but the headers, the lists in jextract/include and jextract's version.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
path_file=$root/native/target/llama.cpp.path

llama=${1:-${GATUN_LLAMA_CPP_DIR:-}}
if [ -z "$llama" ] && [ -f "$path_file" ]; then
  llama=$(cat "$path_file")
fi
if [ -z "$llama" ] || [ ! -f "$llama/include/llama.h" ]; then
  echo "regenerate.sh: no llama.cpp sources in '${llama:-}'; give their folder as the first argument or in GATUN_LLAMA_CPP_DIR" >&2
  exit 2
fi
if [ -z "${JEXTRACT:-}" ]; then
  echo "regenerate.sh: set JEXTRACT to a jextract built on libclang 13 or 14 (https://github.com/openjdk/jextract)" >&2
  exit 2
fi
llama=$(cd "$llama" && pwd)
java=${JAVA_HOME:+$JAVA_HOME/bin/}java

tree=$(sed -n 's/^tree=//p' "$root/native/llama.cpp.pin")
if [ -e "$llama/.git" ] && actual=$(git -C "$llama" rev-parse 'HEAD^{tree}' 2>/dev/null) && [ "$actual" != "$tree" ]; then
  echo "regenerate.sh: $llama has tree $actual, the pin is $tree" >&2
  exit 2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Compiler flags that jextract has no option for are read from this file in the current folder.
printf '%s\n' -ffreestanding -nostdinc > "$work/compile_flags.txt"
cd "$work"

for list in "$here"/jextract/include/*.txt; do
  unit=$(basename "$list" .txt)
  if ! "$JEXTRACT" \
      -I "$here/jextract/stubs" -I "$llama/include" -I "$llama/ggml/include" -I "$llama/tools/mtmd" -I "$root/native/shim" \
      -t dev.gatun.bindings.generated --header-class-name "${unit}_h" --output "$work/raw" \
      "@$list" "$here/jextract/bindings.h" > "$work/log" 2>&1 || grep -q 'error:' "$work/log"; then
    cat "$work/log" >&2
    echo "regenerate.sh: jextract failed on $unit" >&2
    exit 1
  fi
done

out=$here/main/java/dev/gatun/bindings/generated
keep='CTypes NativeSymbols package-info'
for f in "$out"/*.java; do
  [ -f "$f" ] || continue
  case " $keep " in *" $(basename "$f" .java) "*) ;; *) rm -f "$f" ;; esac
done
"$java" "$here/jextract/Lean.java" "$work/raw/dev/gatun/bindings/generated" "$out" "$here/main/resources/dev/gatun/bindings/symbols.txt"

# The pin and the headers that this set was made from, with their checksums.
sed -n '/^tag=/p;/^tree=/p' "$root/native/llama.cpp.pin" > "$here/main/resources/dev/gatun/bindings/pin.properties"
{
  echo "# SHA-256 of every header the bindings were generated from; paths in llama.cpp, or in native/ with a leading @."
  for h in include/llama.h ggml/include/ggml.h ggml/include/ggml-alloc.h ggml/include/ggml-backend.h ggml/include/ggml-cpu.h \
      ggml/include/ggml-opt.h ggml/include/ggml-rpc.h ggml/include/gguf.h tools/mtmd/mtmd.h; do
    printf '%s  %s\n' "$(sha256sum < "$llama/$h" | cut -d' ' -f1)" "$h"
  done
  printf '%s  @%s\n' "$(sha256sum < "$root/native/shim/gatun_shim.h" | cut -d' ' -f1)" shim/gatun_shim.h
} > "$here/jextract/headers.sha256"

echo "regenerate.sh: $(ls "$out" | wc -l) files, $(cat "$out"/*.java | wc -l) lines, $(wc -l < "$here/main/resources/dev/gatun/bindings/symbols.txt") needed symbols"
