;; lowering failed: lowering function 4 (f0) at byte offset 0xb6 failed: ValueError: bytes must be in range(0, 256)
;; seed 3033694
(module
  (type (;0;) (func (param i64 f64 f32 f32 f32 i64 f32) (result f64)))
  (type (;1;) (func (param i32 i64 i32)))
  (type (;2;) (func (param i32) (result i32)))
  (type (;3;) (func (param i64) (result i64)))
  (type (;4;) (func (param f32) (result f32)))
  (type (;5;) (func (result f32 f64 f64)))
  (import "h" "print" (func (;0;) (type 1)))
  (import "h" "dirty" (func (;1;) (type 2)))
  (import "h" "dirty" (func (;2;) (type 3)))
  (import "h" "dirty" (func (;3;) (type 4)))
  (func (;4;) (type 0) (param i64 f64 f32 f32 f32 i64 f32) (result f64)
    (local i64 i32 i64 i32 i32 f64 i32 i32 i32 f32 f64)
    i32.const 1
    if  ;; label = @1
      i32.const 1
      if  ;; label = @2
        loop  ;; label = @3
          local.get 14
          i32.const 2
          i32.shl
          i32.load offset=4 align=1
          drop
          local.get 14
          local.tee 14
          br_if 0 (;@3;)
        end
      end
    end
    f64.const 0x0p+0 (;=0;))
  (table (;0;) 5 8 funcref)
  (memory (;0;) 2 5)
  (global (;0;) (mut i32) (i32.const 120))
  (global (;1;) (mut i32) (i32.const 1))
  (global (;2;) (mut f64) (f64.const -0x1p+0 (;=-1;)))
  (export "m" (memory 0))
  (export "t" (table 0))
  (export "g0" (global 1))
  (export "g1" (global 2))
  (export "f0" (func 4)))
