/* The release this tree is on its way to. */
#ifndef STEAD_AGENT_VERSION_H
#define STEAD_AGENT_VERSION_H

#define STEAD_VERSION "0.1.0"

#endif
