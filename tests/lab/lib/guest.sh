# shellcheck shell=bash
# The guest: Debian's cloud kernel and one static program that stamps its disk.

readonly SHARE=$STATE/share # every node sees it, read-only, as /srv/stead-lab
readonly GUEST_SECRET=5ead0000-0000-4000-8000-000000000001
readonly GUEST_MODULES=(virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk pvpanic pvpanic-mmio)

guest_kernel() { # newest cloud kernel's version
    local newest
    newest=$(printf '%s\n' /boot/vmlinuz-*-cloud-amd64 | sort -V | tail -n1)
    printf %s "${newest#/boot/vmlinuz-}"
}

guest_build() {
    local root=$STATE/guest version module i=0
    version=$(guest_kernel)
    mkdir -p "$root/dev" "$root/proc" "$root/sys" "$SHARE"
    gcc -O2 -static -Wall -Wextra -Werror -o "$root/init" "$HERE/guest/stamp.c"
    for module in "${GUEST_MODULES[@]}"; do # loaded by name in order: 0.ko, 1.ko, ...
        guest_module "$version" "$module" >"$root/$i.ko"
        i=$((i + 1))
    done
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$SHARE/initrd.gz"
    cp "/boot/vmlinuz-$version" "$SHARE/vmlinuz"
}

guest_module() { # VERSION NAME: the module, uncompressed
    local file
    file=$(find "/lib/modules/$1/kernel" -name "$2.ko*" -print -quit)
    case $file in
        *.ko) cat "$file" ;;
        *.ko.xz) xz -dc "$file" ;;
        *) die "kernel $1 has no module $2" "apt-get install linux-image-cloud-amd64" ;;
    esac
}

guest_image() { # NAME: an empty disk
    ceph_admin rbd create --size "${DISK_MIB:-64}" "rbd/$1" 2>/dev/null ||
        ceph_admin rbd info "rbd/$1" >/dev/null 2>&1 || die "cannot make the image rbd/$1" "$0 ceph -s"
}

guest_uuid() { # NAME: a guest made again keeps its id
    local uuid=''
    [[ ! -e $SHARE/$1.xml ]] || uuid=$(sed -n 's|.*<uuid>\(.*\)</uuid>.*|\1|p' "$SHARE/$1.xml")
    printf %s "${uuid:-$(cat /proc/sys/kernel/random/uuid)}"
}

guest_xml() { # NAME UUID MEM_MIB RATE
    cat <<TXT
<domain type='qemu'>
  <name>$1</name>
  <uuid>$2</uuid>
  <memory unit='MiB'>$3</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>/srv/stead-lab/vmlinuz</kernel>
    <initrd>/srv/stead-lab/initrd.gz</initrd>
    <cmdline>console=ttyS0 quiet panic=-1 rate=$4</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw' cache='none' error_policy='stop' rerror_policy='stop'/>
      <source protocol='rbd' name='rbd/$1'>
        <host name='10.88.2.254' port='3300'/>
        <auth username='vm'><secret type='ceph' uuid='$GUEST_SECRET'/></auth>
      </source>
      <target dev='vda' bus='virtio'/>
    </disk>
    <controller type='usb' model='none'/>
    <serial type='file'>
      <source path='/var/log/stead-lab/$1.log' append='on'/>
      <target port='0'/>
    </serial>
    <serial type='unix'>
      <source mode='bind' path='/run/stead-lab-$1.serial'/>
      <target port='1'/>
    </serial>
    <memballoon model='none'/>
    <panic model='isa'/>
  </devices>
</domain>
TXT
}

guest_consoles() { # NAME: its console files, in the order they were last written
    local files=()
    mapfile -t files < <(compgen -G "$DISKS/n*/upper/var/log/stead-lab/$1.log" || true)
    [[ ${#files[@]} -eq 0 ]] || ls -tr "${files[@]}"
}

guest_tell() { # K NAME WORD: through its second serial port, which echoes (QEMU forgets what a peer said that hangs up)
    node_sh "$1" python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
s.connect("/run/stead-lab-%s.serial" % sys.argv[1])
s.sendall((sys.argv[2] + "\n").encode())
echo = b""
while sys.argv[2].encode() not in echo:
    echo += s.recv(64) or sys.exit("the guest hung up")' "$2" "$3"
}
