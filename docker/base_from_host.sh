#!/usr/bin/env bash
# usage: docker/base_from_host.sh TAG
#
# A base image for docker/Dockerfile out of this machine's own files, where no registry can be reached: a Python, a shell,
# a dozen commands, and the libraries that these and torch link against. For tests: it is as up to date as the machine.
#
# PYTHON names the interpreter (default: python3); it is moved to /usr/local, where it finds its library by itself.
set -euo pipefail
tag=${1:?usage: docker/base_from_host.sh TAG}
commands=(sh env cat chmod cp id ln ls mkdir mv rm sleep)
# Wheels ask for the parts of glibc by the names they had before it became one.
extra_libraries=(libstdc++.so.6 libgcc_s.so.1 libm.so.6 libpthread.so.0 libdl.so.2 librt.so.1 libutil.so.1 libresolv.so.2)

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

read -r python version stdlib < <("${PYTHON:-python3}" - <<'PY'
import os, sys, sysconfig
print(os.path.realpath(sys.executable), f"{sys.version_info.major}.{sys.version_info.minor}", sysconfig.get_path("stdlib"))
PY
)
mkdir -p "$root"/usr/local/{bin,lib} "$root"/{bin,etc,proc,sys,dev,root} "$root"/usr/{bin,share}
cp "$python" "$root/usr/local/bin/python$version"
ln -s "python$version" "$root/usr/local/bin/python3"
ln -s python3 "$root/usr/local/bin/python"
tar -C "$(dirname "$stdlib")" --exclude={site-packages,dist-packages,test,tests,idlelib,tkinter,turtledemo,config-*} \
    -c "$(basename "$stdlib")" | tar -C "$root/usr/local/lib" -x
if [ -d /usr/share/python-wheels ]; then # Debian keeps what venv needs outside of the library
    cp -R /usr/share/python-wheels "$root/usr/share/"
fi

for command in "${commands[@]}"; do
    cp -L "$(command -v "$command")" "$root/bin/"
done
ln -s /bin/env "$root/usr/bin/env"

# Each library keeps the path under which the linker found it here.
{
    find "$root" -type f \( -path '*/bin/*' -o -name '*.so*' \) -exec ldd {} + 2>/dev/null || true
    for library in "${extra_libraries[@]}"; do
        # To the end of the list: who stops reading kills the one that writes.
        ldconfig -p | awk -v name="$library" '$1 == name && !num++ { print $1, "=>", $NF }'
    done
} | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\/.*ld-/ { print $1 }' | sort -u \
  | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done

printf 'root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000:node:/tmp:/bin/sh\n' > "$root/etc/passwd"
printf 'root:x:0:\nnode:x:1000:\n' > "$root/etc/group"
printf 'hosts: files dns\n' > "$root/etc/nsswitch.conf"
mkdir -m 1777 "$root/tmp"

tar -C "$root" --numeric-owner --owner 0 --group 0 -c . \
  | docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8' --change 'CMD ["python3"]' - "$tag"
