//! What the check refuses, each by its name, and that it says what to do.

use kernel_arena_bpf::{CheckError, Field, Host, Hosts, HostsError, Insn, Program, Refused};

use crate::assembler::*;

fn refused(code: &[Insn]) -> CheckError {
    Program::check(code, Hosts::<()>::NONE).expect_err("it is refused")
}

/// The first instruction of a program that is right otherwise.
fn first(insn: Insn) -> Refused {
    let error = refused(&[insn, mov(0, 0), mov(0, 0), EXIT]);
    assert_eq!(error.instruction, 0, "{insn:?}: {error}");
    error.refused
}

#[test]
fn each_refusal_has_its_name() {
    use Refused::*;
    let of_field = |field| ReservedField(field);
    #[rustfmt::skip]
    let table = [
        // Opcodes that nobody has; those of the RFC that are not for this runner.
        (insn(0x00, 0, 0, 0, 0), UnknownOpcode(0x00)), (insn(0xff, 0, 0, 0, 0), UnknownOpcode(0xff)),
        (insn(0x99, 0, 1, 0, 0), UnknownOpcode(0x99)), (insn(0xe7, 0, 0, 0, 0), UnknownOpcode(0xe7)),
        (insn(0x8c, 0, 0, 0, 0), UnknownOpcode(0x8c)), (insn(0x8f, 0, 0, 0, 0), UnknownOpcode(0x8f)),
        (insn(0xdf, 0, 0, 0, 16), UnknownOpcode(0xdf)), (insn(0x0e, 0, 0, 0, 0), UnknownOpcode(0x0e)),
        (insn(0x86, 0, 0, 0, 0), UnknownOpcode(0x86)), (insn(0x96, 0, 0, 0, 0), UnknownOpcode(0x96)),
        (insn(0xe6, 0, 0, 0, 0), UnknownOpcode(0xe6)), (insn(0x9d, 0, 0, 0, 0), UnknownOpcode(0x9d)),
        (insn(0xf5, 0, 0, 0, 0), UnknownOpcode(0xf5)), (insn(0xc2, 0, 0, 0, 0), UnknownOpcode(0xc2)),
        (insn(0x20, 0, 0, 0, 0), PacketAccess(0x20)), (insn(0x50, 0, 1, 0, 0), PacketAccess(0x50)),
        (insn(0x8d, 1, 0, 0, 0), CallThroughRegister), (insn(0x8d, 0, 0, 0, 5), CallThroughRegister),
        (insn(0x8d, 0, 11, 7, 5), CallThroughRegister), (insn(0x0d, 1, 0, 0, 0), JumpThroughRegister),
        // Registers.
        (insn(0xb7, 11, 0, 0, 0), NoSuchRegister(11)), (insn(0xbf, 0, 15, 0, 0), NoSuchRegister(15)),
        (insn(0xb7, 10, 0, 0, 1), WritesFramePointer), (insn(0x07, 10, 0, 0, -8), WritesFramePointer),
        (insn(0x84, 10, 0, 0, 0), WritesFramePointer), (insn(0xd7, 10, 0, 0, 16), WritesFramePointer),
        (insn(0x79, 10, 1, 0, 0), WritesFramePointer), (insn(0x91, 10, 1, 0, 0), WritesFramePointer),
        (insn(0x18, 10, 0, 0, 0), WritesFramePointer), (insn(0xdb, 1, 10, 0, 1), WritesFramePointer),
        (insn(0xdb, 1, 10, 0, 0xe1), WritesFramePointer), (insn(0xd3, 10, 1, 0, 0x100), WritesFramePointer),
        // Fields without a meaning.
        (insn(0x07, 1, 1, 0, 0), of_field(Field::Src)), (insn(0x0f, 1, 1, 0, 1), of_field(Field::Immediate)),
        (insn(0x07, 1, 0, 1, 0), of_field(Field::Offset)), (insn(0x37, 1, 0, 2, 1), of_field(Field::Offset)),
        (insn(0xb7, 1, 0, 8, 0), of_field(Field::Offset)), (insn(0xbf, 1, 1, 4, 0), of_field(Field::Offset)),
        (insn(0xbc, 1, 1, 32, 0), of_field(Field::Offset)), (insn(0xbc, 1, 1, 1, 1), of_field(Field::Offset)),
        (insn(0xbf, 1, 1, 8, 1), of_field(Field::Immediate)), (insn(0x87, 1, 0, 0, 1), of_field(Field::Immediate)),
        (insn(0x87, 1, 1, 0, 0), of_field(Field::Src)), (insn(0xd7, 1, 1, 0, 16), of_field(Field::Src)),
        (insn(0x61, 1, 1, 0, 1), of_field(Field::Immediate)), (insn(0x62, 1, 1, 0, 1), of_field(Field::Src)),
        (insn(0x63, 1, 1, 0, 1), of_field(Field::Immediate)), (insn(0x05, 1, 0, 0, 0), of_field(Field::Dst)),
        (insn(0x05, 0, 1, 0, 0), of_field(Field::Src)), (insn(0x05, 0, 0, 0, 1), of_field(Field::Immediate)),
        (insn(0x06, 0, 0, 1, 0), of_field(Field::Offset)), (insn(0x15, 0, 1, 0, 0), of_field(Field::Src)),
        (insn(0x1e, 0, 1, 0, 9), of_field(Field::Immediate)), (insn(0x95, 0, 0, 0, 1), of_field(Field::Immediate)),
        (insn(0x95, 1, 0, 0, 0), of_field(Field::Dst)), (insn(0xe5, 0, 1, 0, 0), of_field(Field::Src)),
        (insn(0xe5, 0, 0, 0, 1), of_field(Field::Immediate)), (insn(0x85, 1, 0, 0, 1), of_field(Field::Dst)),
        (insn(0x85, 0, 1, 1, 1), of_field(Field::Offset)), (insn(0x18, 1, 0, 1, 0), of_field(Field::Offset)),
        // Immediate values without one.
        (insn(0x37, 1, 0, 0, 0), DivisionByZero), (insn(0x94, 1, 0, 1, 0), DivisionByZero),
        (insn(0xd4, 1, 0, 0, 8), SwapWidth(8)), (insn(0xdc, 1, 0, 0, 0), SwapWidth(0)),
        (insn(0xbf, 1, 1, 1, 0), UnknownCast(0)), (insn(0xbf, 1, 1, 1, 2), UnknownCast(2)),
        (insn(0xdb, 1, 1, 0, 2), UnknownAtomic { operation: 2 }), (insn(0xd3, 1, 1, 0, 0), UnknownAtomic { operation: 0 }),
        (insn(0xcb, 1, 1, 0, 0xf1), UnknownAtomic { operation: 0xf1 }), (insn(0xc3, 1, 1, 0, 0xf0), UnknownAtomic { operation: 0xf0 }),
        // Where jumps and calls lead.
        (ja(3), JumpOutside { target: 4 }), (ja(-2), JumpOutside { target: -1 }), (ja(i16::MAX), JumpOutside { target: 0x8000 }),
        (insn(0x06, 0, 0, 0, i32::MAX), JumpOutside { target: 0x8000_0000 }),
        (insn(0x06, 0, 0, 0, i32::MIN), JumpOutside { target: -0x7fff_ffff }), (jne(0, 0, 3), JumpOutside { target: 4 }),
        (may_goto(-9), JumpOutside { target: -8 }), (local(3), JumpOutside { target: 4 }), (local(-2), JumpOutside { target: -1 }),
        (local(-1), UnresolvedCall), (host(1), UnknownHost(1)), (host(-1), UnknownHost(u32::MAX)),
        (insn(0x85, 0, 2, 0, 9), UnknownHost(9)), (insn(0x85, 0, 3, 0, 1), UnknownCall { kind: 3 }),
        // 64-bit immediate values that stand for something else.
        (insn(0x18, 1, 1, 0, 0), UnresolvedAddress { kind: 1 }), (insn(0x18, 1, 4, 0, 0), AddressOfCode),
        (insn(0x18, 1, 0, 0, 0), HalfInstruction),
    ];
    for (insn, expected) in table {
        assert_eq!(first(insn), expected, "{insn:?}");
    }
}

#[test]
fn a_program_has_a_beginning_and_an_end() {
    assert_eq!(refused(&[]).refused, Refused::Empty);
    for last in [mov(0, 0), jne(0, 0, -1), may_goto(-1), local(-2)] {
        let off_end = CheckError { instruction: 1, refused: Refused::RunsOffEnd };
        assert_eq!(refused(&[mov(0, 0), last]), off_end, "{last:?}");
    }
    for last in [EXIT, ja(-1), insn(0x06, 0, 0, 0, -2), Insn::TRAP] {
        assert!(Program::check(&[mov(0, 0), last], Hosts::<()>::NONE).is_ok(), "{last:?}");
    }
    // Half of an instruction at the end, with or without the other half.
    let half = wide(0, 5);
    assert_eq!(refused(&[mov(0, 0), half[0]]), CheckError { instruction: 1, refused: Refused::HalfInstruction });
    assert_eq!(refused(&[half[0], half[1]]), CheckError { instruction: 1, refused: Refused::RunsOffEnd });
    assert_eq!(refused(&[half[0], EXIT]), CheckError { instruction: 0, refused: Refused::HalfInstruction });
    // A call of the trap ends code, a call of anything else does not.
    let table = [Host { number: 1, name: "one", function: |_: &mut kernel_arena_bpf::Call<'_, ()>| 0 }];
    let hosts = Hosts::new(&table).unwrap();
    assert!(Program::check(&[host(1), EXIT], hosts).is_ok());
    assert_eq!(Program::check(&[EXIT, host(1)], hosts).unwrap_err().refused, Refused::RunsOffEnd);
}

#[test]
fn nothing_leads_into_the_second_half_of_an_instruction() {
    let [low, high] = wide(0, 0x95_0000_0000);
    for (code, at) in [
        (vec![ja(1), low, high, EXIT], 0),
        (vec![low, high, ja(-2), EXIT], 2),
        (vec![local(1), low, high, EXIT], 0),
        (vec![may_goto(1), low, high, EXIT], 0),
        (vec![insn(0x06, 0, 0, 0, 1), low, high, EXIT], 0),
    ] {
        let expected = CheckError {
            instruction: at,
            refused: Refused::JumpIntoInstruction { target: if at == 0 { 2 } else { 1 } },
        };
        assert_eq!(refused(&code), expected);
    }
    let code = [low, high, EXIT];
    let program = Program::check(&code, Hosts::<()>::NONE).unwrap();
    assert_eq!(
        [0, 1, 2, 3, u32::MAX].map(|index| program.entry(index).map(|entry| entry.index())),
        [Some(0), None, Some(2), None, None]
    );
}

#[test]
fn the_instruction_is_named_and_a_cure() {
    let error = refused(&[mov(0, 0), insn(0x8d, 1, 0, 0, 0), EXIT]);
    assert_eq!(
        error.to_string(),
        "instruction 1: it calls through a register: call functions by their names, or have them inlined"
    );
    for byte in 0..=255u8 {
        if let Err(error) = Program::check(&[insn(byte, 0, 0, 0, 0), EXIT], Hosts::<()>::NONE) {
            assert!(error.to_string().split(": ").count() >= 2, "{error}");
        }
    }
}

#[test]
fn a_table_of_functions_has_each_name_and_number_once() {
    type Call<'a> = kernel_arena_bpf::Call<'a, ()>;
    let one = |number, name| Host { number, name, function: |_: &mut Call<'_>| 0 };
    let table = [one(0, "a"), one(7, "b"), one(2, "c")];
    let hosts = Hosts::new(&table).unwrap();
    assert_eq!(["a", "b", "c", "d"].map(|name| hosts.number_of(name)), [Some(0), Some(7), Some(2), None]);
    assert_eq!(
        [0, 1, 2, 7, u32::MAX].map(|number| hosts.name_of(number)),
        [Some("a"), None, Some("c"), Some("b"), None]
    );
    let error = |table: &[Host<()>]| Hosts::new(table).unwrap_err();
    assert_eq!(error(&[one(1, "a"), one(1, "b")]), HostsError::SameNumber { number: 1 });
    assert_eq!(error(&[one(1, "a"), one(2, "ab"), one(3, "a")]), HostsError::SameName { name: "a" });
    assert_eq!(error(&[one(1 << 31, "a")]), HostsError::ReservedNumber { number: 1 << 31 });
}
