#!/usr/bin/env python3
"""Explicit-state check of the slot and page-number protocol (docs/MODEL.md).

One page, N CPUs, at most OPS operations in all, every interleaving of their atomic steps, TLBs that may cache any
present translation at any moment and forget it only when flushed. Sequentially consistent: orderings are loom's business.

    protocol_model.py 2 7                 two CPUs, seven operations
    protocol_model.py 3 4                 three CPUs, four
    protocol_model.py 2 5 x86             as on x86_64, where a fault installs scratch on a vacated word without a flush: a
                                          translation may then give way to scratch while a TLB remembers it (I1 allows
                                          that there), and all other rules must hold
    protocol_model.py 2 6 BREAKAGE        with a rule broken; must report a violation. Breakages: noflush_alloc,
                                          noflush_free, noflush_heal, early_unclaim, nobbm (a fault installs scratch
                                          on a vacated word without flushing first), notag (the vacated word carries
                                          no tag, so a compare-exchange can be fooled), early_settle (a free turns vacated
                                          into vacant before its flush), settle_blindly (whatever the slot holds by
                                          then), gap (an allocation of a reserved page gives the number up), late_count
                                          (a mark is counted after it is set), early_count (it is counted off before it
                                          is cleared), late_clear (a free of a reserved page clears its mark after it has
                                          taken scratch away), early_clear (it does so before it has the page)

Whoever changes the protocol changes it here first. Exit status 0: all states hold; 1: a violation, with the shortest trace.
Steps: A alloc (may wait, may not, exactly here), E alloc of what is reserved (may wait, may not), V reserve, F free (by anybody, also wrongly), D deferred free, X fault,
R reclaim; K sets the mark, U clears it. Slots: V vacant, C<tag> vacated, R reserved, S scratch, Q scratch over reserved, M<f> mapped, D<f> deferred.
"""
import sys
from collections import deque

N, OPS = int(sys.argv[1]), int(sys.argv[2])
BREAK = sys.argv[3] if len(sys.argv) > 3 else ''
if BREAK not in ('', 'x86', 'noflush_alloc', 'noflush_free', 'noflush_heal', 'early_unclaim', 'nobbm', 'notag',
                 'early_settle', 'settle_blindly', 'gap', 'late_count', 'early_count', 'late_clear', 'early_clear'):
    print(f'no such breakage: {BREAK}', file=sys.stderr)
    sys.exit(2)
TAGS = 1 if BREAK == 'notag' else 4
IDLE = ('idle', None, 0, None)
# claimed, tainted, queued, slot, TLB per CPU, free frames, CPUs (step, datum, flush index, mode), operations left, next tag,
# marks that are counted
INIT = (0, 0, 0, 'V', (None,) * N, frozenset('01'), (IDLE,) * N, OPS, 0, 0)


def vacant(slot):
    return slot[0] in 'VC'


def translation(slot):
    """What a TLB may cache of this slot: None, the scratch page or a frame."""
    if slot[0] in 'VCR':
        return None
    return 'S' if slot in ('S', 'Q') else slot[1:]


def successors(state):
    cl, T, dq, slot, tlb, pool, cpus, ops, tag, marks = state
    out = []
    t = translation(slot)
    for c in range(N):
        if t and tlb[c] is None:
            out.append((cl, T, dq, slot, tlb[:c] + (t,) + tlb[c + 1:], pool, cpus, ops, tag, marks))
    for c in range(N):
        pc, d, fi, mode = cpus[c]

        def go(npc, nd=None, nfi=0, nmode=None, cl=cl, T=T, dq=dq, slot=slot, tlb=tlb, pool=pool, ops=ops, tag=tag,
               marks=marks):
            out.append((cl, T, dq, slot, tlb, pool, cpus[:c] + ((npc, nd, nfi, nmode),) + cpus[c + 1:], ops, tag, marks))

        def flush(then):
            if fi < N:
                go(pc, d, fi + 1, mode, tlb=tlb[:fi] + (None,) + tlb[fi + 1:])
            else:
                go(then, d, 0, mode)

        if pc == 'idle':
            if ops:
                o = ops - 1
                if pool:
                    f = min(pool)
                    for m in ('wait', 'nowait', 'exact'):
                        go('A1', f, 0, m, pool=pool - {f}, ops=o)
                    for m in ('ewait', 'enowait'):
                        go('E1', f, 0, m, pool=pool - {f}, ops=o)
                for op in ('V1', 'F0', 'D0', 'X1', 'R1'):
                    go(op, ops=o)
        # alloc: claim, look, install; where scratch is met, clear the mark, S3, shootdown, install again
        elif pc == 'A1':
            if not cl and (not T or mode == 'exact'):
                go('A3', d, 0, mode, cl=1)
            else:
                go('idle', pool=pool | {d})
        elif pc == 'A3':
            if vacant(slot):
                go('idle', slot='M' + d)                                    # S2
            else:
                assert slot == 'S', ('alloc met', slot)
                go({'nowait': 'AB', 'enowait': 'EB'}.get(mode, 'A4'), d, 0, mode)
        elif pc == 'A4':
            go('U1', d, 0, ('A5', mode))
        elif pc == 'A5':                                                    # S3
            go('A6' if BREAK != 'noflush_alloc' else 'A3', d, 0, mode, slot='V' if slot == 'S' else slot)
        elif pc == 'A6':
            flush('A3')
        elif pc == 'AB':
            go('K1', d, 0, ('AB2', None))
        elif pc == 'AB2':
            go('idle', cl=0, pool=pool | {d})
        # alloc of what is reserved: the reservation gives way, but the number stays claimed; then as above. In vain, the
        # reservation comes back
        elif pc == 'E1':
            if slot in 'RQ':
                go('A3', d, 0, mode, slot='V' if slot == 'R' else 'S', cl=0 if BREAK == 'gap' else cl)
            else:
                go('idle', pool=pool | {d})
        elif pc == 'EB':
            if slot == 'S':
                go('idle', slot='Q', pool=pool | {d})
            else:
                go('idle', slot='R', pool=pool | {d})
        # reserve
        elif pc == 'V1':
            go('V2', cl=1) if not cl else go('idle')
        elif pc == 'V2':
            if vacant(slot):
                go('idle', slot='R')
            else:
                assert slot == 'S', ('reserve met', slot)
                go('idle', slot='Q')
        # free: look, S4 (or S6 and S3, where there is scratch), shootdown, S7 (where a fault would have to flush first), frame
        # back, un-claim
        elif pc == 'F0':
            if slot == 'Q' and BREAK == 'early_clear':
                go('U1', slot, 0, ('F1', None))
            else:
                go('F1', slot) if slot[0] in 'MRQ' else go('idle')
        elif pc == 'F1':
            if slot == d == 'Q':
                go('FH' if BREAK in ('late_clear', 'early_clear') else 'FM', slot='S')   # S6
            elif slot == d:
                frame = d[1:] if d[0] == 'M' else None
                nxt = 'F3' if translation(d) and BREAK != 'noflush_free' else 'F4'
                if frame:
                    nxt = 'F2' if BREAK == 'early_settle' else nxt
                    go(nxt, frame, 0, 'C%d' % tag, slot='C%d' % tag, tag=(tag + 1) % TAGS,
                       cl=0 if BREAK == 'early_unclaim' else cl)
                else:
                    go(nxt, None, 0, None, slot='V')
            elif d in 'RQ' and slot in 'RQ':
                go('F1', slot)                                              # a fault came between: once more
            else:
                go('idle')                                                  # Raced
        elif pc == 'FM':
            go('U1', None, 0, ('FH', None))
        elif pc == 'FH':                                                    # S3
            nxt = 'F3' if BREAK != 'noflush_free' else 'F4'
            if BREAK == 'late_clear':
                go('U1', None, 0, (nxt, None), slot='V' if slot == 'S' else slot)
            else:
                go(nxt, None, 0, None, slot='V' if slot == 'S' else slot)
        elif pc == 'F2':
            go('F3', d, slot='V' if slot == mode else slot)
        elif pc == 'F3':
            flush('FS' if mode and BREAK != 'x86' else 'F4')
        elif pc == 'FS':
            go('F4', d, slot='V' if slot == mode or BREAK == 'settle_blindly' else slot)   # S7
        elif pc == 'F4':
            go('F5', pool=pool | ({d} if d else set()))
        elif pc == 'F5':
            go('idle', cl=0)
        # deferred free
        elif pc == 'D0':
            if slot[0] == 'M':
                go('D1', slot='D' + slot[1:])                               # S5
            elif slot == 'R':
                go('D3', slot='V')                                          # S6
            elif slot == 'Q':
                go('D2', slot='S')                                          # S6
            else:
                go('idle')
        elif pc == 'D1':
            go('idle', dq=1)
        elif pc == 'D2':
            go('K1', None, 0, ('D3', None))
        elif pc == 'D3':
            go('idle', cl=0)
        # fault: one attempt; on a vacated word the old translation is flushed first
        elif pc == 'X1':
            if slot[0] == 'C':
                go('XF' if BREAK not in ('nobbm', 'x86') else 'X3', slot)
            elif slot[0] in 'VR':
                go('X3', slot)
            else:
                go('idle')
        elif pc == 'XF':
            flush('X3')
        elif pc == 'X3':
            go('X4', slot='Q' if d == 'R' else 'S') if slot == d else go('idle')   # S1
        elif pc == 'X4':
            go('K1', None, 0, ('idle', None))
        # a mark is set: counted first, and counted off again if it was set already
        elif pc == 'K1':
            if BREAK == 'late_count':
                go('K3' if not T else mode[0], d, 0, mode if not T else mode[1], T=1)
            else:
                go('K2', d, 0, mode, marks=marks + 1)
        elif pc == 'K2':
            if T:
                go('U2', d, 0, mode)
            else:
                go(mode[0], d, 0, mode[1], T=1)
        elif pc == 'K3':
            go(mode[0], d, 0, mode[1], marks=marks + 1)
        # it is cleared, and, if it was set, counted off
        elif pc == 'U1':
            if not T:
                go(mode[0], d, 0, mode[1])
            elif BREAK == 'early_count':
                go('U3', d, 0, mode, marks=marks - 1)
            else:
                go('U2', d, 0, mode, T=0)
        elif pc == 'U2':
            go(mode[0], d, 0, mode[1], marks=marks - 1)
        elif pc == 'U3':
            go(mode[0], d, 0, mode[1], T=0)
        # reclaim: the queue, then one tainted page
        elif pc == 'R1':
            if dq:
                go('RD', dq=0)
            elif T:
                go('RT')
            else:
                go('idle')
        elif pc == 'RD':
            if slot[0] == 'D':
                go('F3', slot[1:], 0, 'C%d' % tag, slot='C%d' % tag, tag=(tag + 1) % TAGS)
            else:
                go('idle')
        elif pc == 'RT':
            go('RT1', cl=1) if not cl else go('idle')
        elif pc == 'RT1':
            go('U1', None, 0, ('RT2', None))
        elif pc == 'RT2':
            if slot == 'S':
                go('F3' if BREAK != 'noflush_heal' else 'F5', None, 0, None, slot='V')
            else:
                go('F5')
    return out


def violation(state):
    cl, T, dq, slot, tlb, pool, *_, marks = state
    t = translation(slot)
    if T > marks:
        return f'marks: the page is marked, and {marks} marks are counted'
    for x in tlb:
        if t and x not in (None, t) and not (BREAK == 'x86' and t == 'S'):
            return f'I1: slot {slot}, a TLB has {x}' if t == 'S' else f'I2: slot {slot}, a TLB has {x}'
        if x in pool:
            return f'I5: frame {x} is free, a TLB has it'
    if slot[0] in 'MD' and slot[1:] in pool:
        return f'slot {slot}, its frame is free'
    if slot[0] in 'MDRQ' and not cl:
        return f'I5: slot {slot}, but its number is not claimed'


def at_rest(state):
    """What must hold once every operation has ended."""
    cl, T, dq, slot, tlb, pool, *_, marks = state
    if T != marks:
        return f'marks: {T} at rest, and {marks} are counted'
    if len(pool) + (slot[0] in 'MD') != 2:
        return 'a frame is lost'
    if slot == 'S' and not T:
        return 'scratch: it is not marked'
    if vacant(slot) and cl:
        return 'a page number is lost'
    if slot[0] == 'D' and not dq:
        return 'deferred, but not queued'


def report(why, state, seen):
    print('VIOLATION', why)
    steps = []
    while state:
        steps.append(state)
        state = seen[state]
    print('\n'.join(str(s) for s in reversed(steps)))
    sys.exit(1)


seen, todo = {INIT: None}, deque([INIT])
while todo:
    s = todo.popleft()
    why = violation(s) or (at_rest(s) if all(c == IDLE for c in s[6]) else None)
    if why:
        report(why, s, seen)
    for n in successors(s):
        if n not in seen:
            seen[n] = s
            todo.append(n)
print(f'{len(seen)} states hold')
