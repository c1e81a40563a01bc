/*
 * The translator's own view of a region; private to target-e2k.
 *
 *   key --region_discover()--> nodes --trans_region()--> IR --tcg--> host code
 *
 * A node is one bundle in one geometry.  The same bundle appears as several
 * nodes when it is reached in several rotations: that is how a
 * software-pipelined loop is unrolled over its rotation period.
 */
#ifndef TARGET_E2K_TRANSLATE_INT_H
#define TARGET_E2K_TRANSLATE_INT_H

#include "target-e2k/translate.h"

enum {
    REGION_MAX_NODES = 192,
    WINDOW_REGS = 224,
    GUEST_REGS = WINDOW_REGS + 32, /* window registers, then globals */
};

/* What is known about a CTPR without looking at it. */
typedef enum CtprKind {
    CTPR_UNKNOWN, /* cpu->ctpr holds it */
    CTPR_EMPTY,
    CTPR_DISP,    /* value: target */
    CTPR_LDISP,
    CTPR_SYSTEM,  /* value: entry number */
    CTPR_RETURN,
} CtprKind;

typedef struct CtprFact {
    CtprKind kind;
    uint64_t value;
} CtprFact;

/* Where control is, as far as it is known at compile time. */
typedef struct Place {
    uint64_t ip;
    Geometry geo;      /* ctpr_empty is not used here, see ctpr */
    CtprFact ctpr[3];
} Place;

typedef enum NodeEnd {
    END_FALL,     /* to the next bundle */
    END_BRANCH,   /* taken or not */
    END_INDIRECT, /* through a CTPR that only run time knows */
    END_CALL,     /* known target; comes back to next */
    END_CALL_INDIRECT,
    END_RETURN,
    END_SYSTEM,   /* system call */
    END_INTERP,   /* the interpreter executes this bundle */
} NodeEnd;

enum { NODE_NONE = -1 };

typedef struct Node {
    Place at;
    Place next;        /* not taken */
    Place taken;       /* taken; of a call, the callee's entry */
    Place after_call;  /* where a call's return comes back */
    NodeEnd end;
    bool conditional;  /* the transfer has a condition */
    bool is_target;    /* reached by something other than falling through */
    int next_node;     /* NODE_NONE: leaves the region */
    int taken_node;
    int after_call_node;
    uint64_t fall_ip;  /* address after the bundle */
    Bundle bundle;
} Node;

typedef struct Region {
    E2kCpu *cpu;
    RegionKey key;
    unsigned n_nodes;
    Node *nodes;       /* REGION_MAX_NODES */
    uint64_t code_lo, code_hi; /* guest bytes translated */
} Region;

/*
 * Finds the nodes of the region that starts at key, at most max_nodes of
 * them.  Reads guest code through cpu->ops->fetch.  The first node always
 * exists; it is END_INTERP when its bundle cannot be fetched or decoded.
 */
void region_discover(Region *region, unsigned max_nodes);

/* Does this bundle have to run in the interpreter? */
bool trans_bundle_supported(const Node *node);

Geometry geometry_of_cpu(const E2kCpu *cpu);
void geometry_to_cpu(E2kCpu *cpu, Geometry geo);

/* Window register number of a based register. */
static inline unsigned geometry_based(Geometry geo, unsigned index)
{
    return 2 * geo.rbs + (2 * geo.rcur + index) % (2 * geo.rsz + 2);
}

/* Physical number of %pred<index>. */
static inline unsigned geometry_pred(Geometry geo, unsigned index)
{
    return index <= geo.psz ? (geo.pcur + index) % (geo.psz + 1) : index;
}

#endif
