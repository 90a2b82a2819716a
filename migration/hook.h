/*
 * What stead-agent tells stead's libvirt hook (migration/hook_main.c), in files. Without an agent
 * they stay as they are: then no permit is given, and a registered VM is not started here.
 *
 * HOOK_VMS     the registered VMs: a line "UUID NAME" each, and a last line "end"
 * HOOK_KEPT    the same on the disk, for the time from a boot until the agent has read the state:
 *              libvirt begins with what is marked for autostart before that
 * HOOK_PERMITS a file per VM that is being created here, named by its UUID, "TERM COUNTER
 * DEADLINE": the start it belongs to, and until when (CLOCK_BOOTTIME, ms). Good for one start: the
 *              hook removes it, and the agent removes what is left.
 */
#ifndef STEAD_MIGRATION_HOOK_H
#define STEAD_MIGRATION_HOOK_H

#define HOOK_PATH "/etc/libvirt/hooks/qemu.d/stead" /* libvirt knows no other place */
#define HOOK_VMS "/run/stead/vms"
#define HOOK_KEPT "/var/lib/stead/vms"
#define HOOK_PERMITS "/run/stead/permits"

#endif
