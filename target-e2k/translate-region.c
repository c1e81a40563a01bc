/*
 * Region discovery: which bundles are translated together.
 *
 * Starting at the key, fall-through and statically known branches are
 * followed depth first, the fall-through path first, so that nodes come out
 * in the order their code should lie in.  A node is identified by address,
 * geometry and the known contents of the CTPRs.  To keep the last part from
 * multiplying nodes, knowledge of a CTPR is carried to a branch target only
 * when the code there uses the CTPR before it is set again.
 *
 * Calls are not followed: their return point is part of the region, their
 * target is another region.
 */
#include "target-e2k/translate-int.h"

#include <string.h>

#include "util/bytes.h"

enum {
    CTPR_SCAN_BUNDLES = 16, /* how far a use of a CTPR is looked for */
    FP_MASKS = 0x1f80,
    FP_MASK_UE = 0x800,
};

Geometry geometry_of_cpu(const E2kCpu *cpu)
{
    Geometry geo = {
        .wsz = cpu->wsz,
        .psize = cpu->psize,
        .rbs = cpu->rbs,
        .rsz = cpu->rsz,
        .rcur = cpu->rcur,
        .psz = cpu->psz,
        .pcur = cpu->pcur,
        .dbl = cpu->wdbl,
        .wfx = cpu->wfx,
        .isa = cpu->isa,
        .psr = cpu->psr,
        .fp_plain = cpu_fp_enabled(cpu) && (cpu->pfpfr & FP_MASKS) == FP_MASKS,
        .fp_checked = cpu_fp_enabled(cpu) && (cpu->pfpfr & FP_MASK_UE) &&
                      (cpu->pfpfr & FP_MASKS) != FP_MASKS,
        .ac = (cpu->upsr & UPSR_AC) != 0,
        .plain = cpu->bgr_val == 0xff &&
                 cpu->bgr_cur == 0 && (cpu->cui == 0 || cpu->system),
        .ctpr_empty = !(cpu->ctpr[0] | cpu->ctpr[1] | cpu->ctpr[2]),
        .wary = cpu->dam_live || (cpu->pf & PF_INVALID_BITS),
    };
    return geo;
}

void geometry_to_cpu(E2kCpu *cpu, Geometry geo)
{
    cpu->wsz = geo.wsz;
    cpu->psize = geo.psize;
    cpu->rbs = geo.rbs;
    cpu->rsz = geo.rsz;
    cpu->rcur = geo.rcur;
    cpu->psz = geo.psz;
    cpu->pcur = geo.pcur;
    cpu->wdbl = geo.dbl;
    cpu->wfx = geo.wfx;
}

/*
 * Bundles decoded for the region under way: each is looked at several times.
 * Under the translation lock, as all of this file.
 */
enum { DECODED = 256 };

static struct {
    uint64_t ip[DECODED];
    unsigned region[DECODED]; /* number of the discovery that filled it */
    bool good[DECODED];
    unsigned now;
    Bundle bundle[DECODED];
} decoded;

/* NULL: not there or not a bundle.  Valid until the next call. */
static const Bundle *fetch_bundle(E2kCpu *cpu, uint64_t ip)
{
    unsigned k = (ip >> 3) % DECODED;

    if (decoded.region[k] != decoded.now || decoded.ip[k] != ip) {
        uint8_t bytes[BUNDLE_MAX_BYTES];
        unsigned got = 0;
        decoded.region[k] = decoded.now;
        decoded.ip[k] = ip;
        decoded.good[k] =
            cpu->ops->fetch(cpu, ip, bytes, &got) == EXC_NONE &&
            bundle_decode(&decoded.bundle[k], bytes, got, cpu->isa) ==
                DECODE_OK;
    }
    return decoded.good[k] ? &decoded.bundle[k] : NULL;
}

/* Is there code at all, on a page that may be executed now? */
static bool can_fetch(E2kCpu *cpu, uint64_t ip)
{
    uint64_t physical;

    return !cpu->ops->code_address ||
           cpu->ops->code_address(cpu, ip, &physical);
}

static bool bundle_reads_ctpr(const Bundle *b, unsigned n)
{
    if ((b->transfer == TRANSFER_CT || b->transfer == TRANSFER_CALL) &&
        b->ctpr == n) {
        return true;
    }
    return b->bap && n == 2;
}

static bool bundle_writes_ctpr(const Bundle *b, unsigned n)
{
    return b->prepare >= PREPARE_DISP && b->prepare <= PREPARE_RETURN &&
           b->prepare_ctpr == n;
}

/* Is %ctpr<n> used from ip on before it is set again?  A guess either way
 * costs only speed. */
static bool ctpr_used_from(E2kCpu *cpu, uint64_t ip, unsigned n)
{
    for (unsigned i = 0; i < CTPR_SCAN_BUNDLES; i++) {
        const Bundle *b = fetch_bundle(cpu, ip);
        if (!b) {
            return false;
        }
        if (bundle_reads_ctpr(b, n)) {
            return true;
        }
        if (bundle_writes_ctpr(b, n) || b->transfer == TRANSFER_CALL ||
            (b->transfer != TRANSFER_NONE && b->ct_type == CT_ALWAYS)) {
            return false;
        }
        ip += b->length;
    }
    return false;
}

/* Can code made for "have" run at "want"?  It may know less of the CTPRs. */
static bool place_serves(const Place *have, const Place *want)
{
    if (have->ip != want->ip || have->geo.bits != want->geo.bits) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (have->ctpr[i].kind != CTPR_UNKNOWN &&
            (have->ctpr[i].kind != want->ctpr[i].kind ||
             have->ctpr[i].value != want->ctpr[i].value)) {
            return false;
        }
    }
    return true;
}

static int find_node(const Region *region, const Place *place)
{
    int found = NODE_NONE;

    /* The chain has the newest first; the oldest that serves is wanted. */
    for (int i = region->by_ip[(place->ip >> 3) % REGION_IP_HASH];
         i != NODE_NONE; i = region->nodes[i].hash_next) {
        if (place_serves(&region->nodes[i].at, place)) {
            found = i;
        }
    }
    return found;
}

/* The geometry after a bundle, for one outcome of its transfer. */
static Geometry geometry_after(Geometry geo, const Bundle *b, bool taken)
{
    if (b->has_setwd) {
        geo.wsz = b->wsz;
        geo.wfx = !b->nfx;
        if (geo.isa >= 3) {
            geo.dbl = b->dbl;
        }
    }
    if (b->has_setbn) {
        geo.rbs = b->rbs;
        geo.rsz = b->rsz;
        geo.rcur = b->rcur;
    }
    if (b->has_setbp) {
        geo.psz = b->psz;
        geo.pcur = 0;
    }
    if (taken ? b->abpt : b->abpf) {
        geo.pcur = geo.pcur == 0 ? geo.psz : geo.pcur - 1;
    }
    if (taken ? b->abnt : b->abnf) {
        geo.rcur = geo.rcur == 0 ? geo.rsz : geo.rcur - 1;
    }
    geo.wary |= trans_becomes_wary(geo.isa, b);
    return geo;
}

static void ctpr_after(CtprFact ctpr[3], const Node *node)
{
    const Bundle *b = &node->bundle;
    for (int i = 0; i < BUNDLE_CHANNELS; i++) {
        const AlcOp *op = &b->alc[i];
        if (op->present && op->dst.kind == OPERAND_CTPR) {
            ctpr[op->dst.index - 1] = (CtprFact){ CTPR_UNKNOWN, 0 };
        }
    }
    if (!b->prepare_ctpr) {
        return;
    }
    CtprFact *fact = &ctpr[b->prepare_ctpr - 1];
    uint64_t target = (node->at.ip + b->prepare_disp) & 0xffffffffffff;
    switch (b->prepare) {
    case PREPARE_DISP:
        *fact = (CtprFact){ CTPR_DISP, target };
        break;
    case PREPARE_LDISP:
        *fact = (CtprFact){ CTPR_LDISP, target };
        break;
    case PREPARE_SDISP:
        *fact = (CtprFact){ CTPR_SYSTEM, b->prepare_param };
        break;
    case PREPARE_RETURN:
        *fact = (CtprFact){ CTPR_RETURN, 0 };
        break;
    }
}

static void ctprs_clear(CtprFact ctpr[3])
{
    for (int i = 0; i < 3; i++) {
        ctpr[i] = (CtprFact){ CTPR_EMPTY, 0 };
    }
}

/* How the node ends, and where to. */
static void node_set_end(Node *node)
{
    const Bundle *b = &node->bundle;
    CtprFact before[3];
    memcpy(before, node->at.ctpr, sizeof(before));

    node->fall_ip = (node->at.ip + b->length) & CTPR_BASE_MASK;
    node->next = (Place){ .ip = node->fall_ip,
                          .geo = geometry_after(node->at.geo, b, false) };
    node->taken = (Place){ .geo = geometry_after(node->at.geo, b, true) };
    memcpy(node->next.ctpr, before, sizeof(before));
    ctpr_after(node->next.ctpr, node);
    memcpy(node->after, node->next.ctpr, sizeof(before));
    memcpy(node->taken.ctpr, node->next.ctpr, sizeof(before));
    node->conditional = b->ct_type != CT_ALWAYS;
    node->end = END_FALL;

    if (b->transfer == TRANSFER_NONE || b->ct_type == CT_NEVER) {
        return;
    }
    if (b->transfer == TRANSFER_IBRANCH || b->transfer == TRANSFER_ICALL) {
        node->taken.ip = (node->at.ip + b->disp) & 0xffffffffffff;
        node->end = b->transfer == TRANSFER_ICALL ? END_CALL : END_BRANCH;
        return;
    }
    if (b->transfer == TRANSFER_IBRANCHD || b->transfer == TRANSFER_ICALLD) {
        node->end = b->transfer == TRANSFER_ICALLD ? END_CALL_INDIRECT
                                                   : END_INDIRECT;
        return;
    }
    if (b->transfer != TRANSFER_CT && b->transfer != TRANSFER_CALL) {
        node->end = END_INTERP;
        return;
    }
    const CtprFact *fact = &before[b->ctpr - 1];
    bool call = b->transfer == TRANSFER_CALL;
    switch (fact->kind) {
    case CTPR_DISP:
        node->taken.ip = fact->value;
        node->end = call ? END_CALL : END_BRANCH;
        break;
    case CTPR_RETURN:
        node->end = call ? END_INTERP : END_RETURN;
        break;
    case CTPR_SYSTEM:
        node->end = call ? END_SYSTEM : END_INTERP;
        break;
    case CTPR_UNKNOWN:
        node->end = call ? END_CALL_INDIRECT : END_INDIRECT;
        break;
    default:
        node->end = END_INTERP;
        break;
    }
    if (node->taken.ip & 7) {
        node->end = END_INTERP;
    }
}

/*
 * A call's target starts with a fresh window; the return point has the
 * caller's state again, whatever the callee did.
 */
static void call_places(Node *node)
{
    unsigned wbs = node->bundle.wbs;
    Geometry *callee = &node->taken.geo;
    if (wbs > callee->wsz) {
        node->end = END_INTERP; /* exc_window_bounds */
        return;
    }
    node->after_call = node->taken;
    node->after_call.ip = node->fall_ip;
    callee->wsz -= wbs;
    callee->psize = callee->wsz;
    callee->wfx = 1;
    ctprs_clear(node->taken.ctpr);
    ctprs_clear(node->after_call.ctpr);
}

static bool bundle_uses_loop(const Bundle *b)
{
    return b->loop_mode || b->alct || b->alcf || b->ct_type == CT_LOOP_END ||
           b->ct_type == CT_NOT_LOOP_END ||
           b->ct_type == CT_PRED_OR_LOOP_END ||
           b->ct_type == CT_NOT_PRED_AND_NOT_LOOP_END ||
           b->ct_type == CT_NOT_PRED_OR_LOOP_END ||
           b->ct_type == CT_PRED_AND_NOT_LOOP_END;
}

/*
 * Joins [start, end) with a range near by; false: no room for another.  With
 * an MMU each range lies on one page.
 */
static bool note_code(Region *region, uint64_t start, uint64_t end)
{
    enum { NEAR = 4096, PAGE = 4096 };
    bool paged = region->cpu->ops->code_address;
    uint64_t page_end = (start & -(uint64_t)PAGE) + PAGE;

    if (paged && end > page_end) {
        return note_code(region, start, page_end) &&
               note_code(region, page_end, end);
    }
    for (unsigned i = 0; i < region->n_ranges; i++) {
        TcgRange *r = &region->ranges[i];
        if (paged ? (r->start ^ start) < PAGE
                  : start <= r->end + NEAR && end + NEAR >= r->start) {
            r->start = MIN(r->start, start);
            r->end = MAX(r->end, end);
            return true;
        }
    }
    if (region->n_ranges == REGION_MAX_RANGES) {
        return false;
    }
    region->ranges[region->n_ranges++] = (TcgRange){ start, end };
    return true;
}

static int add_node(Region *region, const Place *place, unsigned max_nodes)
{
    if (region->n_nodes == max_nodes ||
        (region->n_nodes && !can_fetch(region->cpu, place->ip)) ||
        !note_code(region, place->ip, place->ip + 8)) {
        return NODE_NONE;
    }
    Node *node = &region->nodes[region->n_nodes];
    memset(node, 0, offsetof(Node, bundle));
    node->at = *place;
    node->next_node = node->taken_node = node->after_call_node = NODE_NONE;
    int16_t *chain = &region->by_ip[(place->ip >> 3) % REGION_IP_HASH];
    node->hash_next = *chain;
    *chain = region->n_nodes;
    const Bundle *bundle = fetch_bundle(region->cpu, place->ip);
    if (!bundle) {
        node->end = END_INTERP;
        memset(&node->bundle, 0, sizeof(node->bundle));
        node->bundle.length = 8;
    } else {
        node->bundle = *bundle;
        node_set_end(node);
        if (node->end == END_CALL || node->end == END_CALL_INDIRECT ||
            node->end == END_SYSTEM) {
            call_places(node);
        }
        if (!trans_bundle_supported(region, node)) {
            node->end = END_INTERP;
        } else {
            node->leave = trans_node_leave(&node->bundle);
        }
    }
    region->uses_loop |= node->end != END_INTERP &&
                         bundle_uses_loop(&node->bundle);
    note_code(region, place->ip, place->ip + node->bundle.length);
    return region->n_nodes++;
}

static bool is_join(const Region *region, uint64_t ip)
{
    for (unsigned i = 0; i < region->n_joins; i++) {
        if (region->joins[i] == ip) {
            return true;
        }
    }
    return false;
}

/* Forgets CTPR contents that the code at a meeting of paths does not need.
 * What the region begins with is kept at its beginning, for a loop to close
 * there. */
static void trim_facts(Region *region, Place *place)
{
    const Place *entry = &region->nodes[0].at;

    if (!region->trim_all && !is_join(region, place->ip)) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        bool kept = !region->trim_all && place->ip == entry->ip &&
                    place->ctpr[i].kind == entry->ctpr[i].kind &&
                    place->ctpr[i].value == entry->ctpr[i].value;
        if (place->ctpr[i].kind != CTPR_UNKNOWN && !kept &&
            !ctpr_used_from(region->cpu, place->ip, i + 1)) {
            place->ctpr[i] = (CtprFact){ CTPR_UNKNOWN, 0 };
            region->trimmed = true;
        }
    }
}

static void mark_target(Region *region, int target, int from, bool falls)
{
    if (target != NODE_NONE && !(falls && target == from + 1)) {
        region->nodes[target].is_target = true;
    }
}

/* Which nodes need a label. */
static void mark_targets(Region *region)
{
    for (int i = 0; i < (int)region->n_nodes; i++) {
        const Node *node = &region->nodes[i];
        for (unsigned k = 0; k < node_ways(node); k++) {
            mark_target(region, node_way(node, k), i, k == WAY_NEXT);
        }
    }
}

/*
 * Is the node the start of a short way to a return?  Such tails are not
 * shared: where paths meet, what is known of tags and CTPRs has to be stored
 * by all of them, which costs more than the copy.
 */
static bool is_tail(const Region *region, int index)
{
    enum { TAIL_NODES = 8 };

    if (!tcg_opt_enabled(OPT_TAILS)) {
        return false;
    }
    for (int i = 0; i < TAIL_NODES && index != NODE_NONE; i++) {
        const Node *node = &region->nodes[index];
        switch (node->end) {
        case END_FALL:
            index = node->next_node;
            break;
        case END_BRANCH:
            index = node->conditional ? NODE_NONE : node->taken_node;
            break;
        case END_RETURN:
            return !node->conditional;
        default:
            return false;
        }
    }
    return false;
}

/*
 * What is really known of the CTPRs where they were forgotten to let paths
 * meet: usually all of them have left the same there.
 */
static bool flow_ctpr(CtprFact to[3], const CtprFact from[3], bool *seen)
{
    bool changed = false;

    for (int i = 0; i < 3; i++) {
        if (!seen[i]) {
            to[i] = from[i];
            seen[i] = changed = true;
        } else if (to[i].kind != CTPR_UNKNOWN &&
                   (to[i].kind != from[i].kind ||
                    to[i].value != from[i].value)) {
            to[i] = (CtprFact){ CTPR_UNKNOWN, 0 };
            changed = true;
        }
    }
    return changed;
}

static void ctpr_after(CtprFact ctpr[3], const Node *node);
static void ctprs_clear(CtprFact ctpr[3]);

static void flow_ctprs(Region *region)
{
    bool seen[REGION_MAX_NODES][3];
    bool changed = true;
    CtprFact empty[3];

    ctprs_clear(empty);
    /* Facts that nodes were made for hold by construction. */
    for (unsigned i = 0; i < region->n_nodes; i++) {
        for (int k = 0; k < 3; k++) {
            seen[i][k] = i == 0 ||
                         region->nodes[i].at.ctpr[k].kind != CTPR_UNKNOWN;
        }
    }
    while (changed) {
        changed = false;
        for (unsigned i = 0; i < region->n_nodes; i++) {
            Node *node = &region->nodes[i];
            bool ready = seen[i][0] && seen[i][1] && seen[i][2];
            if (!ready || node->end == END_INTERP) {
                continue;
            }
            memcpy(node->after, node->at.ctpr, sizeof(node->after));
            ctpr_after(node->after, node);
            for (unsigned k = 0; k < node_ways(node); k++) {
                int to = node_way(node, k);
                if (to != NODE_NONE) {
                    changed |= flow_ctpr(region->nodes[to].at.ctpr,
                                         k == WAY_AFTER_CALL ? empty
                                                             : node->after,
                                         seen[to]);
                }
            }
        }
    }
}

enum { PENDING_MAX = 4 * REGION_MAX_NODES };

typedef struct Pending {
    Place place;
    int *link; /* filled with the node */
} Pending;

/* The places that an indirect jump went to in the first tier. */
static unsigned push_targets(Region *region, Node *node, Pending *stack,
                             unsigned depth)
{
    node->n_targets = trans_seen_targets(region->space | node->at.ip,
                                         node->target_ip);
    for (unsigned k = 0; k < node->n_targets; k++) {
        Place place = node->taken;
        place.ip = node->target_ip[k];
        trim_facts(region, &place);
        node->target_node[k] = NODE_NONE;
        if (depth < PENDING_MAX - 3) {
            stack[depth++] = (Pending){ place, &node->target_node[k] };
        }
    }
    return depth;
}

static void discover(Region *region, unsigned max_nodes)
{
    Pending stack[PENDING_MAX];
    unsigned depth = 0;
    int entry;
    Place start = { .ip = region->key.ip ^ region->space,
                    .geo = region->key.geo };

    start.geo.ctpr_empty = 0;
    start.geo.split = 0;
    start.geo.vlc = region->loop_facts.vlc;
    start.geo.pcnt0 = region->loop_facts.pcnt0;
    start.geo.ecnt0 = region->loop_facts.ecnt0;
    if (region->key.geo.ctpr_empty) {
        ctprs_clear(start.ctpr);
    } else {
        memcpy(start.ctpr, region->ctpr_facts, sizeof(start.ctpr));
    }
    region->n_nodes = 0;
    memset(region->by_ip, 0xff, sizeof(region->by_ip)); /* NODE_NONE */
    region->uses_loop = false;
    region->trimmed = false;
    region->n_ranges = 0;
    if (region->trim_all && region->tier == TCG_TIER_FULL) {
        trim_facts(region, &start); /* only to see which paths meet here */
    }
    stack[depth++] = (Pending){ start, &entry };
    while (depth) {
        Pending todo = stack[--depth];
        int index = find_node(region, &todo.place);
        if (index != NODE_NONE &&
            (region->n_nodes >= max_nodes / 2 || !is_tail(region, index))) {
            *todo.link = index;
            continue;
        }
        index = add_node(region, &todo.place, max_nodes);
        *todo.link = index;
        if (index == NODE_NONE) {
            continue;
        }
        Node *node = &region->nodes[index];
        /* Pushed last, followed first. */
        if (node->end == END_INDIRECT && region->tier == TCG_TIER_FULL) {
            depth = push_targets(region, node, stack, depth);
        }
        if (node->end == END_BRANCH) {
            trim_facts(region, &node->taken);
            stack[depth++] = (Pending){ node->taken, &node->taken_node };
        }
        if (node->end == END_CALL || node->end == END_CALL_INDIRECT) {
            stack[depth++] =
                (Pending){ node->after_call, &node->after_call_node };
        }
        if (node->end != END_INTERP && node->leave == LEAVE_NOT &&
            (node->end == END_FALL || node->conditional)) {
            trim_facts(region, &node->next);
            stack[depth++] = (Pending){ node->next, &node->next_node };
        }
    }
    mark_targets(region);
}

/* Addresses that several paths lead to. */
static void find_joins(Region *region)
{
    uint8_t edges[REGION_MAX_NODES] = { 0 };

    edges[0] = 1;
    for (unsigned i = 0; i < region->n_nodes; i++) {
        const Node *node = &region->nodes[i];
        for (unsigned k = 0; k < node_ways(node); k++) {
            int to = node_way(node, k);
            if (to != NODE_NONE && edges[to] < 2 && ++edges[to] == 2) {
                region->joins[region->n_joins++] = region->nodes[to].at.ip;
            }
        }
    }
}

/*
 * A branch through a CTPR that was prepared before the region began: it goes
 * where the CTPR points now, says the entry's test.
 */
bool region_guess_ctprs(Region *region)
{
    bool guessed = false, written[3] = { false };

    for (unsigned i = 0; i < region->n_nodes; i++) {
        const Bundle *b = &region->nodes[i].bundle;
        const AlcOp *op = &b->alc[0];
        if (op->present && op->dst.kind == OPERAND_CTPR) {
            written[op->dst.index - 1] = true;
        }
    }
    for (unsigned i = 0; i < region->n_nodes; i++) {
        const Node *node = &region->nodes[i];
        unsigned n = node->bundle.ctpr;
        if (node->end != END_INDIRECT || !n || written[n - 1] ||
            node->at.ctpr[n - 1].kind != CTPR_UNKNOWN) {
            continue;
        }
        uint64_t value = region->cpu->ctpr[n - 1];
        uint64_t target = value & CTPR_BASE_MASK;
        if (value == CTPR_VALUE(target, CTPR_TAG_LOCAL, CTPR_OPC_DISP) &&
            !(target & 7)) {
            region->ctpr_facts[n - 1] = (CtprFact){ CTPR_DISP, target };
            guessed = true;
        }
    }
    return guessed;
}

/*
 * Twice: first to learn where paths meet, when what is known of CTPRs does
 * not separate them; then with that knowledge kept between the meetings.  The
 * first tier leaves it at the first.
 */
void region_discover(Region *region, unsigned max_nodes)
{
    decoded.now++;
    region->n_joins = 0;
    region->trim_all = true;
    discover(region, max_nodes);
    if (region->trimmed && region->tier == TCG_TIER_FULL) {
        region->trim_all = false;
        find_joins(region);
        discover(region, max_nodes);
    }
    flow_ctprs(region);
}
