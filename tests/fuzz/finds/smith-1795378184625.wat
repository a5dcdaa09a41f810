;; image refused: error -22 11 1 537 result stored too far from the function's end
;; seed 1795378184625
;; call [""]
;; call ["1", "0x5", "0xffffffff"]
;; call ["1", "0x1f", "0xffffffff"]
;; call ["1", "0x7fffffff", "0xffffffff"]
;; call ["2"]
;; call ["3", "0x81dc506a", "0xffffffff"]
;; call ["3", "0xa49ed05a", "0xffffffff"]
;; call ["3", "0x5b26caf9", "0xffffffff"]
;; call ["4"]
(module
  (type (;0;) (func (param i32 externref) (result i64 f64)))
  (type (;1;) (func))
  (type (;2;) (func (param funcref i32)))
  (type (;3;) (func (result i32 i64 f32 i32 i64 i32 funcref funcref i32 funcref i32 i32 i32)))
  (func (;0;) (type 1)
    global.get 5
    i32.eqz
    if  ;; label = @1
      unreachable
    end
    global.get 5
    i32.const 1
    i32.sub
    global.set 5
    block (result i32 i64 f32 i32 i64 i32 funcref funcref i32 funcref i32 i32 i32)  ;; label = @1
      loop  ;; label = @2
        global.get 5
        i32.eqz
        if  ;; label = @3
          unreachable
        end
        global.get 5
        i32.const 1
        i32.sub
        global.set 5
        loop  ;; label = @3
          global.get 5
          i32.eqz
          if  ;; label = @4
            unreachable
          end
          global.get 5
          i32.const 1
          i32.sub
          global.set 5
          br 3 (;@0;)
          i64.const -7971686986938028442
          f32.const 0x1.fffffcp-127 (;=1.17549e-38;)
          i32.trunc_sat_f32_s
          f64.const 0x1.e20d3460737c2p+660 (;=9.00846e+198;)
          i64.trunc_sat_f64_u
          global.get 1
          i64.xor
          global.set 1
          global.get 2
          i32.xor
          global.set 2
          global.get 1
          i64.xor
          global.set 1
        end
      end
      i32.const -250741213
      i64.const -6738657403226723950
      f32.const 0x1.p-137 (;=5.73972e-42;)
      i32.const -843058194
      i64.const -1125899906842624
      i32.const 605664541
      ref.null func
      ref.null func
      i32.const 8191
      ref.null func
      i32.const -1602124531
      i32.const 1048576
      i32.const 16384
    end
    global.get 2
    i32.xor
    global.set 2
    global.get 2
    i32.xor
    global.set 2
    global.get 2
    i32.xor
    global.set 2
    drop
    global.get 2
    i32.xor
    global.set 2
    drop
    drop
    global.get 2
    i32.xor
    global.set 2
    global.get 1
    i64.xor
    global.set 1
    global.get 2
    i32.xor
    global.set 2
    i32.reinterpret_f32
    global.get 3
    i32.xor
    global.set 3
    global.get 1
    i64.xor
    global.set 1
    global.get 2
    i32.xor
    global.set 2)
  (func (;1;) (type 0) (param i32 externref) (result i64 f64)
    (local funcref f32 f32 f64 f64)
    global.get 5
    i32.eqz
    if  ;; label = @1
      unreachable
    end
    global.get 5
    i32.const 1
    i32.sub
    global.set 5
    call 4
    i32.eqz
    i32.extend8_s
    i32.lt_u
    i64.const 288230376151711744
    i64.store align=4
    i64.load align=4
    i64.ctz
    i64.extend32_s
    f64.convert_i64_s
    memory.size
    local.set 0
    call 0
    i64.trunc_sat_f64_u
    f64.reinterpret_i64
    i32.trunc_f64_u
    i32.load16_u
    local.set 0
    local.tee 2
    ref.is_null
    i32.ctz
    i32.mul
    loop (param funcref i32)  ;; label = @1
      global.get 5
      i32.eqz
      if  ;; label = @2
        unreachable
      end
      global.get 5
      i32.const 1
      i32.sub
      global.set 5
      i32.extend8_s
      i64.load32_s
      f64.convert_i64_u
      i64.reinterpret_f64
      i32.const 2061351975
      memory.grow
      f32.load
      f32.floor
      local.tee 4
      f32.const nan (;=nan;)
      local.get 4
      local.get 4
      f32.eq
      select
      i64.trunc_f32_u
      i64.and
      call 4
      i32.rem_s
      i32.and
      f64.const -nan:0xffffffffffff0 (;=-nan;)
      i32.trunc_f64_s
      i32.store align=2
      f64.const -nan:0xffffffeffffff (;=-nan;)
      f64.ceil
      local.tee 5
      f64.const nan (;=nan;)
      local.get 5
      local.get 5
      f64.eq
      select
      f32.const -0x1.5199ccp-53 (;=-1.46411e-16;)
      i64.trunc_f32_s
      f64.convert_i64_u
      i64.const 3887779874170177210
      f32.convert_i64_u
      ref.null extern
      ref.null extern
      i32.const -482117419
      if  ;; label = @2
        block  ;; label = @3
          f64.const -0x1.92450c0838847p-600 (;=-3.78687e-181;)
          i64.trunc_sat_f64_s
          i64.popcnt
          f32.convert_i64_u
          i64.trunc_f32_u
          i64.clz
          i64.const -13747456985574905
          i32.const -927507953
          if  ;; label = @4
            ref.null func
            local.tee 2
            ref.null func
            f64.const -nan:0xff7ffffffffff (;=-nan;)
            f64.ceil
            local.tee 6
            f64.const nan (;=nan;)
            local.get 6
            local.get 6
            f64.eq
            select
            i64.reinterpret_f64
            global.get 4
            i64.xor
            global.set 4
            drop
            drop
          end
          global.get 1
          i64.xor
          global.set 1
          global.get 1
          i64.xor
          global.set 1
        end
      end
      drop
      drop
      i32.reinterpret_f32
      global.get 3
      i32.xor
      global.set 3
      i64.reinterpret_f64
      global.get 4
      i64.xor
      global.set 4
      i64.reinterpret_f64
      global.get 4
      i64.xor
      global.set 4
      drop
      global.get 2
      i32.xor
      global.set 2
      drop
      drop
      global.get 2
      i32.xor
      global.set 2
      drop
      global.get 2
      i32.xor
      global.set 2
      i32.reinterpret_f32
      global.get 3
      i32.xor
      global.set 3
      global.get 1
      i64.xor
      global.set 1
      global.get 2
      i32.xor
      global.set 2
      global.get 1
      i64.xor
      global.set 1
      drop
    end
    drop
    global.get 2
    i32.xor
    global.set 2
    global.get 1
    i64.xor
    global.set 1
    global.get 2
    i32.xor
    global.set 2
    i32.reinterpret_f32
    global.get 3
    i32.xor
    global.set 3
    global.get 1
    i64.xor
    global.set 1
    global.get 2
    i32.xor
    global.set 2
    i64.const -6823007533309395756
    f64.const -0x1.dbd7ef58209cbp+605 (;=-2.46815e+182;))
  (func (;2;) (type 1)
    (local f32 f64)
    global.get 5
    i32.eqz
    if  ;; label = @1
      unreachable
    end
    global.get 5
    i32.const 1
    i32.sub
    global.set 5
    i64.const -2
    f64.convert_i64_u
    f32.const -nan:0x7ffffe (;=-nan;)
    f32.sqrt
    local.tee 0
    f32.const nan (;=nan;)
    local.get 0
    local.get 0
    f32.eq
    select
    memory.size
    i32.extend8_s
    i64.load16_u align=1
    call 0
    i64.ctz
    i32.wrap_i64
    memory.grow
    i32.eqz
    i64.load8_u
    f64.convert_i64_u
    f64.ceil
    local.tee 1
    f64.const nan (;=nan;)
    local.get 1
    local.get 1
    f64.eq
    select
    i64.reinterpret_f64
    global.get 0
    i32.load8_u
    i32.load16_u align=1
    i32.const -182334596
    i32.eq
    i32.load align=1
    i64.load32_u align=2
    i64.ge_u
    f32.const 0x1.bd292p-41 (;=7.90764e-13;)
    i64.trunc_sat_f32_s
    f64.convert_i64_s
    i32.trunc_f64_u
    i32.le_s
    f64.load align=4
    i64.trunc_f64_s
    i64.const 196609
    i64.gt_s
    call 4
    i32.add
    i32.xor
    i64.load8_u
    f64.const 0x1p-991 (;=4.77831e-299;)
    i64.trunc_f64_u
    loop  ;; label = @1
      global.get 5
      i32.eqz
      if  ;; label = @2
        unreachable
      end
      global.get 5
      i32.const 1
      i32.sub
      global.set 5
      memory.size
      i64.load16_u align=1
      f64.reinterpret_i64
      br 0 (;@1;)
      br 0 (;@1;)
      i64.trunc_f64_s
      loop (result i32 i64 f32 i32 i64 i32 funcref funcref i32 funcref i32 i32 i32)  ;; label = @2
        global.get 5
        i32.eqz
        if  ;; label = @3
          unreachable
        end
        global.get 5
        i32.const 1
        i32.sub
        global.set 5
        f32.const 0x1.efd722p+57 (;=2.79133e+17;)
        call 0
        f64.promote_f32
        i32.trunc_f64_s
        i64.load align=2
        i64.extend32_s
        i64.popcnt
        f64.convert_i64_u
        i64.trunc_f64_u
        i64.popcnt
        i64.extend8_s
        f64.convert_i64_u
        loop  ;; label = @3
          global.get 5
          i32.eqz
          if  ;; label = @4
            unreachable
          end
          global.get 5
          i32.const 1
          i32.sub
          global.set 5
          loop (result f64)  ;; label = @4
            global.get 5
            i32.eqz
            if  ;; label = @5
              unreachable
            end
            global.get 5
            i32.const 1
            i32.sub
            global.set 5
            f32.const 0x1.5392b8p-103 (;=1.30799e-31;)
            i64.trunc_sat_f32_u
            global.get 0
            i32.extend8_s
            i64.load align=1
            call 0
            i64.lt_u
            global.get 2
            i32.xor
            global.set 2
            f64.const 0x1.7ffep-1057 (;=9.71353e-319;)
          end
          i64.reinterpret_f64
          global.get 4
          i64.xor
          global.set 4
        end
        i64.reinterpret_f64
        global.get 4
        i64.xor
        global.set 4
        i32.const 102592394
        i64.const -7994489594092511805
        f32.const 0x1.38dc9ep-33 (;=1.42273e-10;)
        i32.const 386240873
        i64.const 8924454882640049689
        i32.const 1256587939
        ref.null func
        ref.null func
        i32.const -32
        ref.null func
        i32.const -1711541611
        i32.const -1315015923
        i32.const -134217729
      end
      global.get 2
      i32.xor
      global.set 2
      global.get 2
      i32.xor
      global.set 2
      global.get 2
      i32.xor
      global.set 2
      drop
      global.get 2
      i32.xor
      global.set 2
      drop
      drop
      global.get 2
      i32.xor
      global.set 2
      global.get 1
      i64.xor
      global.set 1
      global.get 2
      i32.xor
      global.set 2
      i32.reinterpret_f32
      global.get 3
      i32.xor
      global.set 3
      global.get 1
      i64.xor
      global.set 1
      global.get 2
      i32.xor
      global.set 2
      global.get 1
      i64.xor
      global.set 1
    end
    global.get 1
    i64.xor
    global.set 1
    global.get 1
    i64.xor
    global.set 1
    drop
    global.get 2
    i32.xor
    global.set 2
    drop
    drop
    global.get 2
    i32.xor
    global.set 2
    global.get 1
    i64.xor
    global.set 1
    global.get 2
    i32.xor
    global.set 2
    i32.reinterpret_f32
    global.get 3
    i32.xor
    global.set 3
    global.get 1
    i64.xor
    global.set 1
    global.get 2
    i32.xor
    global.set 2
    global.get 2
    i32.xor
    global.set 2
    i32.reinterpret_f32
    global.get 3
    i32.xor
    global.set 3
    i64.reinterpret_f64
    global.get 4
    i64.xor
    global.set 4)
  (func (;3;) (type 0) (param i32 externref) (result i64 f64)
    (local i64 f32)
    global.get 5
    i32.eqz
    if  ;; label = @1
      unreachable
    end
    global.get 5
    i32.const 1
    i32.sub
    global.set 5
    ref.null func
    memory.size
    global.get 0
    i32.and
    loop (param funcref i32)  ;; label = @1
      global.get 5
      i32.eqz
      if  ;; label = @2
        unreachable
      end
      global.get 5
      i32.const 1
      i32.sub
      global.set 5
      i32.extend8_s
      if (result funcref)  ;; label = @2
        memory.size
        i64.load16_u align=1
        i64.extend32_s
        f32.const -0x1.0e3c52p-42 (;=-2.40017e-13;)
        i32.trunc_sat_f32_u
        if (result f64)  ;; label = @3
          memory.size
          loop (result i32 i64 f32 i32 i64 i32 funcref funcref i32 funcref i32 i32 i32)  ;; label = @4
            global.get 5
            i32.eqz
            if  ;; label = @5
              unreachable
            end
            global.get 5
            i32.const 1
            i32.sub
            global.set 5
            memory.size
            f32.convert_i32_u
            f32.floor
            local.tee 3
            f32.const nan (;=nan;)
            local.get 3
            local.get 3
            f32.eq
            select
            br 0 (;@4;)
            unreachable
            unreachable
          end
          unreachable
        else
          unreachable
        end
        unreachable
      else
        unreachable
      end
      unreachable
    end
    unreachable)
  (func (;4;) (type 3) (result i32 i64 f32 i32 i64 i32 funcref funcref i32 funcref i32 i32 i32)
    global.get 5
    i32.eqz
    if  ;; label = @1
      unreachable
    end
    global.get 5
    i32.const 1
    i32.sub
    global.set 5
    unreachable)
  (memory (;0;) 0 3)
  (global (;0;) i32 (i32.const -746464176))
  (global (;1;) (mut i64) (i64.const 0))
  (global (;2;) (mut i32) (i32.const 0))
  (global (;3;) (mut i32) (i32.const 0))
  (global (;4;) (mut i64) (i64.const 0))
  (global (;5;) (mut i32) (i32.const 300))
  (export "" (func 0))
  (export "1" (func 1))
  (export "2" (func 2))
  (export "3" (func 3))
  (export "4" (func 4))
  (export "5" (memory 0))
  (export "6" (global 0)))
