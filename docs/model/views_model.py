#!/usr/bin/env python3
"""Explicit-state check of program views against allocation, free, faults and reclaim (docs/MODEL.md).

One page, a kernel view and one program view that comes and goes, two CPUs with one TLB entry per view, at most OPS
operations in all, every interleaving of their atomic steps. A TLB may cache any translation that is reachable through
its view at any moment and forgets it only when flushed. Sequentially consistent: orderings are loom's business.

    views_model.py 5                      five operations
    views_model.py 5 x86                  as on x86_64, where a fault installs scratch on a vacated word without a flush
    views_model.py 4 BREAKAGE             with a rule broken; must report a violation. Breakages: linkfirst (attach
                                          links before it lists), unlistfirst (detach unlists before its flush),
                                          readfirst (free reads the list of views before S4 is visible, which is what
                                          exclusives without a full barrier allow), healfirst (the same in reclaim,
                                          before S3), fault_kernel (a fault of the kernel flushes a vacated page in the
                                          kernel view only), heal_kernel (S3 is flushed in the kernel view only),
                                          lazy_unclaimed (a lazy fault installs a page without its number), look_once
                                          (a fault of the program is refused by one look at the word), user_scratch
                                          (the scratch leaf is user mode's, too)

Whoever changes the protocol changes it here first. Exit status 0: all states hold; 1: a violation, with the shortest trace.
Steps: A alloc, F free, X fault of the kernel, R reclaim, P fault of the program (lazy), AT attach, DT detach. Slots: V vacant,
C<tag> vacated, S scratch, M<f> mapped. TLBs: S scratch that only the kernel may use, s that a program may, f a frame.
"""
import sys
from collections import deque

OPS = int(sys.argv[1])
BREAK = sys.argv[2] if len(sys.argv) > 2 else ''
if BREAK not in ('', 'x86', 'linkfirst', 'unlistfirst', 'readfirst', 'healfirst', 'fault_kernel', 'heal_kernel',
                 'lazy_unclaimed', 'look_once', 'user_scratch'):
    print(f'no such breakage: {BREAK}', file=sys.stderr)
    sys.exit(2)
N, TAGS = 2, 4
IDLE = ('idle', None, 0, None)
# claimed, tainted, slot, kernel-view TLB per CPU, program-view TLB per CPU, free frames, linked, listed, attach or detach
# under way, CPUs (step, datum, flush index, list as it was read), operations left, next tag
INIT = (0, 0, 'V', (None,) * N, (None,) * N, frozenset('01'), 0, 0, 0, (IDLE,) * N, OPS, 0)


def put(entries, c, value):
    return entries[:c] + (value,) + entries[c + 1:]


def vacant(slot):
    return slot[0] in 'VC'


def translation(slot):
    """What a TLB may cache of this slot: None, the scratch page or a frame."""
    if slot == 'S':
        return 's' if BREAK == 'user_scratch' else 'S'
    return None if vacant(slot) else slot[1:]


def successors(state):
    cl, T, slot, kernel, program, pool, linked, listed, busy, cpus, ops, tag = state
    out = []
    t = translation(slot)
    for c in range(N):
        if t and kernel[c] is None:
            out.append(state[:3] + (put(kernel, c, t),) + state[4:])
        if t and linked and program[c] is None:
            out.append(state[:4] + (put(program, c, t),) + state[5:])
    for c in range(N):
        pc, d, fi, views = cpus[c]

        def go(npc, nd=None, nfi=0, nviews=None, cl=cl, T=T, slot=slot, kernel=kernel, program=program, pool=pool,
               linked=linked, listed=listed, busy=busy, ops=ops, tag=tag, cpus=cpus):
            out.append((cl, T, slot, kernel, program, pool, linked, listed, busy, put(cpus, c, (npc, nd, nfi, nviews)), ops,
                        tag))

        def flush(then):
            """Reads the list, then flushes one CPU after the other, in the kernel view and in the one that was listed."""
            if views is None:
                go(pc, d, 0, listed)
            elif fi < N:
                go(pc, d, fi + 1, views, kernel=put(kernel, fi, None), program=put(program, fi, None) if views else program)
            else:
                go(then, d)

        if pc == 'idle':
            if ops:
                o = ops - 1
                if pool:
                    f = min(pool)
                    go('A1', f, pool=pool - {f}, ops=o)
                for op in ('F0', 'X1', 'R1'):
                    go(op, ops=o)
                if listed:
                    go('P1', ops=o)
                if not busy and not listed and not linked:
                    go('AT1', busy=1, ops=o)
                if not busy and listed and linked:
                    go('DT1', busy=1, ops=o)
        # alloc: claim, install; where scratch is met, clear the mark, S3, shootdown, install again
        elif pc == 'A1':
            go('A2', d, cl=1) if not cl else go('idle', pool=pool | {d})
        elif pc == 'A2':
            if vacant(slot):
                go('idle', slot='M' + d)                                    # S2
            else:
                assert slot == 'S', ('alloc met', slot)
                go('A3', d, T=0)
        elif pc == 'A3':
            go('A4', d, slot='V' if slot == 'S' else slot)                  # S3
        elif pc == 'A4':
            flush('A2')
        # free: look, S4, read the list of views, shootdown in each, S7 (where a fault would have to flush first), frame back,
        # un-claim
        elif pc == 'F0':
            if slot[0] == 'M':
                go('F1', slot, 0, listed if BREAK == 'readfirst' else None)
            else:
                go('idle')
        elif pc == 'F1':
            if slot == d:
                go('F3', d[1:], 0, views, slot='C%d' % tag, tag=(tag + 1) % TAGS)   # S4
            else:
                go('idle')
        elif pc == 'F3':
            flush('FS' if d and BREAK != 'x86' else 'F4')
        elif pc == 'FS':                                                    # Whose number is claimed has no other tag
            go('F4', d, slot='V' if slot[0] == 'C' else slot)               # S7
        elif pc == 'F4':
            go('F5', pool=pool | ({d} if d else set()))
        elif pc == 'F5':
            go('idle', cl=0)
        # fault of the kernel: one attempt; on a vacated word the old translation is flushed first, in every view
        elif pc == 'X1':
            if slot[0] == 'C':
                go('X3' if BREAK == 'x86' else 'X2', slot, 0, 0 if BREAK == 'fault_kernel' else None)
            else:
                go('X3', slot) if slot == 'V' else go('idle')
        elif pc == 'X2':
            flush('X3')
        elif pc == 'X3':
            again = tuple((p, x, n, True) if p in ('P2', 'P3') and x is None else (p, x, n, v) for p, x, n, v in cpus)
            go('X4', slot='S', cpus=again) if slot == d else go('idle')     # S1
        elif pc == 'X4':
            go('idle', T=1)
        # reclaim: one tainted page is claimed, its mark cleared, the scratch page taken away
        elif pc == 'R1':
            go('R2', cl=1) if T and not cl else go('idle')
        elif pc == 'R2':
            go('R3', None, 0, listed if BREAK == 'healfirst' else 0 if BREAK == 'heal_kernel' else None, T=0)
        elif pc == 'R3':
            go('F3', None, 0, views, slot='V') if slot == 'S' else go('F5')  # S3
        # fault of the program: mapped, or claimed by somebody: it runs again; scratch that is nobody's: refused; else it is
        # given a page, as by alloc, without waiting. The last field notes whether scratch has been there for anybody to heal,
        # or has come again, since the first look
        elif pc == 'P1':
            if vacant(slot):
                go('P2', 'V')
            else:
                go('P2', None, 0, not cl) if slot == 'S' else go('idle')
        elif pc == 'P2':
            views = views or slot == 'S' and not cl
            if cl:
                go('idle')
            elif d == 'V':
                if pool:
                    f = min(pool)
                    go('P4' if BREAK != 'lazy_unclaimed' else 'P5', f, pool=pool - {f})
                else:
                    go('idle')
            else:
                go('refused' if BREAK == 'look_once' else 'P3', None, 0, views)
        elif pc == 'P3':
            views = views or slot == 'S' and not cl
            go('refused' if slot == 'S' else 'idle', None, 0, views)
        elif pc == 'refused':
            go('idle')
        elif pc == 'P4':
            go('P5', d, cl=1) if not cl else go('idle', pool=pool | {d})
        elif pc == 'P5':
            if vacant(slot):
                go('idle', slot='M' + d)                                    # S2
            elif BREAK == 'lazy_unclaimed':
                go('idle', pool=pool | {d})
            else:
                go('P6', d, T=1)
        elif pc == 'P6':
            go('idle', cl=0, pool=pool | {d})
        # attach: into the list, then link
        elif pc == 'AT1':
            go('AT2', linked=1) if BREAK == 'linkfirst' else go('AT2', listed=1)
        elif pc == 'AT2':
            go('idle', linked=1, listed=1, busy=0)
        # detach: unlink, flush the whole view, then out of the list
        elif pc == 'DT1':
            go('DT2', linked=0)
        elif pc == 'DT2':
            go('DT3', listed=0) if BREAK == 'unlistfirst' else go('DT3')
        elif pc == 'DT3':
            if fi < N:
                go('DT3', None, fi + 1, program=put(program, fi, None))
            else:
                go('idle', listed=0, busy=0)
    return out


def violation(state):
    slot, kernel, program, pool, cpus = state[2:6] + (state[9],)
    t = translation(slot)
    for x in kernel + program:
        if x in pool:
            return f'I5: frame {x} is free, a TLB has it'
        if t and x not in (None, t) and not (BREAK == 'x86' and t == 'S'):
            return f'I1: slot {slot}, a TLB has {x}' if t == 'S' else f'I2: slot {slot}, a TLB has {x}'
    if 's' in program:
        return 'scratch: a program may read it through a TLB'
    if any(pc == 'refused' and not scratched for pc, _, _, scratched in cpus):
        return 'refused: it was in the middle of an operation'
    if slot[0] == 'M' and not state[0]:
        return f'I5: slot {slot}, but its number is not claimed'


def at_rest(state):
    """What must hold once every operation has ended."""
    cl, T, slot, _, program, pool, linked, listed, *_ = state
    if len(pool) + (slot[0] == 'M') != 2:
        return 'a frame is lost'
    if cl != (slot[0] == 'M'):
        return 'a page number is lost'
    if slot == 'S' and not T:
        return 'scratch is not marked'
    if linked != listed:
        return 'a view is linked but not listed, or listed but not linked'
    if not linked and any(program):
        return 'the view is gone, a TLB has its page'


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
    why = violation(s) or (at_rest(s) if all(c == IDLE for c in s[9]) else None)
    if why:
        report(why, s, seen)
    for n in successors(s):
        if n not in seen:
            seen[n] = s
            todo.append(n)
print(f'{len(seen)} states hold')
