;; image refused: error -22 11 5 0 slot is read before it is defined
;; seed 3017554
(module
  (type (;0;) (func (param i32 i32 i64) (result i64 i64 i64 i64 i64)))
  (type (;1;) (func (param i32 i32) (result i64)))
  (type (;2;) (func (param i32 i64 i32)))
  (type (;3;) (func (param i32) (result i32)))
  (type (;4;) (func (param i64) (result i64)))
  (type (;5;) (func (param f32) (result f32)))
  (import "h" "print" (func (;0;) (type 2)))
  (import "h" "dirty" (func (;1;) (type 3)))
  (import "h" "dirty" (func (;2;) (type 4)))
  (import "h" "dirty" (func (;3;) (type 5)))
  (func (;4;) (type 0) (param i32 i32 i64) (result i64 i64 i64 i64 i64)
    (local i32 f32 f64)
    unreachable)
  (func (;5;) (type 1) (param i32 i32) (result i64)
    (local i32 i32 f32 f64)
    loop  ;; label = @1
      i32.const 1
      local.set 3
      loop  ;; label = @2
        local.get 3
        i32.const 2
        i32.shl
        i32.load align=1
        drop
        block  ;; label = @3
          i32.const 1
          br_if 2 (;@1;)
        end
        i32.const 0
        local.tee 3
        drop
      end
    end
    i64.const 0)
  (table (;0;) 2 5 funcref)
  (memory (;0;) 1 1)
  (global (;0;) (mut i32) (i32.const 120))
  (global (;1;) (mut i32) (i32.const 64))
  (export "m" (memory 0))
  (export "t" (table 0))
  (export "g0" (global 1))
  (export "f0" (func 4))
  (export "f1" (func 5)))
