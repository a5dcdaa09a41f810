;; image refused: error -22 11 2 280 result fetched too far from its call
;; seed 1795378183790
;; call ["gs", "0xffffffff"]
;; call ["gs", "0xffffffff"]
;; call ["gs", "0xffffffff"]
;; call [""]
;; call ["2", "0xffffffff", "0x80000000", "0xffffffffffffffff"]
;; call ["2", "0xffffffff", "0x467f0172", "0x100000000"]
;; call ["2", "0xffffffff", "0x7149f2ca", "0x8c02f2fa1aba1165"]
;; call ["3", "0xffffffff"]
;; call ["3", "0xffffffff"]
;; call ["3", "0xffffffff"]
(module
  (type (;0;) (func (result i64 i32 funcref)))
  (type (;1;) (func (param funcref f32 i64) (result i64)))
  (type (;2;) (func (param funcref) (result funcref f32)))
  (type (;3;) (func (result externref f64 i32 i64)))
  (func (;0;) (type 2) (param funcref) (result funcref f32)
    (local f64 f64)
    global.get 4
    i32.eqz
    if  ;; label = @1
      unreachable
    end
    global.get 4
    i32.const 1
    i32.sub
    global.set 4
    ref.null func
    local.set 0
    f64.const 0x1.fffffffcp-1044 (;=1.061e-314;)
    i64.reinterpret_f64
    f32.convert_i64_s
    f64.promote_f32
    f64.neg
    f32.const -0x1.27ad16p-32 (;=-2.68916e-10;)
    i64.trunc_sat_f32_u
    ref.null extern
    loop (result externref f64 i32 i64)  ;; label = @1
      global.get 4
      i32.eqz
      if  ;; label = @2
        unreachable
      end
      global.get 4
      i32.const 1
      i32.sub
      global.set 4
      call 1
      f32.convert_i64_u
      f64.const -0x1.67dc6e3a8ec8dp-665 (;=-9.18222e-201;)
      f64.trunc
      local.tee 1
      f64.const nan (;=nan;)
      local.get 1
      local.get 1
      f64.eq
      select
      loop  ;; label = @2
        global.get 4
        i32.eqz
        if  ;; label = @3
          unreachable
        end
        global.get 4
        i32.const 1
        i32.sub
        global.set 4
        local.get 0
        local.set 0
        local.get 0
        ref.is_null
        call 1
        block  ;; label = @3
          call 1
          f32.const -0x1.db844ap+83 (;=-1.79645e+25;)
          f64.const -nan:0xfffffff7fffff (;=-nan;)
          f32.const -0x1.157c56p-38 (;=-3.94331e-12;)
          f64.const 0x1p-1007 (;=7.29112e-304;)
          f64.ceil
          local.tee 2
          f64.const nan (;=nan;)
          local.get 2
          local.get 2
          f64.eq
          select
          i64.trunc_f64_u
          i64.extend8_s
          f32.const -0x1.c1efbep+21 (;=-3.68588e+06;)
          f32.neg
          local.get 0
          block  ;; label = @4
            block  ;; label = @5
              br 2 (;@3;)
              call 1
              block (result externref f64 i32 i64)  ;; label = @6
                f64.const 0x1.ffffffffffp-1034 (;=1.08646e-311;)
                f64.neg
                block (result externref f64 i32 i64)  ;; label = @7
                  f32.const 0x1.2a3afep+45 (;=4.09885e+13;)
                  f32.abs
                  f64.promote_f32
                  i32.const -32769
                  ref.null extern
                  i64.const 7179019650668605972
                  i64.eqz
                  f64.convert_i32_u
                  block (result funcref)  ;; label = @8
                    br 7 (;@1;)
                    f32.const -nan:0x7ffffd (;=-nan;)
                    i64.trunc_f32_s
                    loop (result externref f64 i32 i64)  ;; label = @9
                      global.get 4
                      i32.eqz
                      if  ;; label = @10
                        unreachable
                      end
                      global.get 4
                      i32.const 1
                      i32.sub
                      global.set 4
                      loop (result externref f64 i32 i64)  ;; label = @10
                        global.get 4
                        i32.eqz
                        if  ;; label = @11
                          unreachable
                        end
                        global.get 4
                        i32.const 1
                        i32.sub
                        global.set 4
                        i64.const 67108864
                        f64.convert_i64_s
                        i32.trunc_f64_u
                        br_table 0 (;@10;) 1 (;@9;) 5 (;@5;) 6 (;@4;) 7 (;@3;) 8 (;@2;) 9 (;@1;) 8 (;@2;)
                        i64.const -999993144772848150
                        i32.wrap_i64
                        br_if 6 (;@4;)
                        ref.null func
                        local.set 0
                        f32.const -nan:0x780000 (;=-nan;)
                        i32.reinterpret_f32
                        block (result externref)  ;; label = @11
                          br 9 (;@2;)
                          ref.null extern
                        end
                        drop
                        global.get 0
                        i32.xor
                        global.set 0
                        ref.null extern
                        f64.const 0x1.d531e7327d0b9p-991 (;=8.75765e-299;)
                        i32.const -34032249
                        i64.const 4095
                      end
                    end
                    global.get 1
                    i64.xor
                    global.set 1
                    global.get 0
                    i32.xor
                    global.set 0
                    i64.reinterpret_f64
                    global.get 2
                    i64.xor
                    global.set 2
                    drop
                    global.get 1
                    i64.xor
                    global.set 1
                    ref.null func
                  end
                  drop
                  i64.reinterpret_f64
                  global.get 2
                  i64.xor
                  global.set 2
                  drop
                  global.get 0
                  i32.xor
                  global.set 0
                  i64.reinterpret_f64
                  global.get 2
                  i64.xor
                  global.set 2
                  ref.null extern
                  f64.const 0x1.b4059ce512cfdp+594 (;=1.1043e+179;)
                  i32.const 410336164
                  i64.const 4128121360937634056
                end
                global.get 1
                i64.xor
                global.set 1
                global.get 0
                i32.xor
                global.set 0
                i64.reinterpret_f64
                global.get 2
                i64.xor
                global.set 2
                drop
                i64.reinterpret_f64
                global.get 2
                i64.xor
                global.set 2
                ref.null extern
                f64.const 0x1.p-1063 (;=1.01185e-320;)
                i32.const -129
                i64.const -6352294114361749858
              end
              global.get 1
              i64.xor
              global.set 1
              global.get 0
              i32.xor
              global.set 0
              i64.reinterpret_f64
              global.get 2
              i64.xor
              global.set 2
              drop
              global.get 1
              i64.xor
              global.set 1
              global.get 0
              i32.xor
              global.set 0
              i64.reinterpret_f64
              global.get 2
              i64.xor
              global.set 2
              drop
            end
          end
          drop
          i32.reinterpret_f32
          global.get 3
          i32.xor
          global.set 3
          global.get 1
          i64.xor
          global.set 1
          i32.reinterpret_f32
          global.get 3
          i32.xor
          global.set 3
          i64.reinterpret_f64
          global.get 2
          i64.xor
          global.set 2
          i32.reinterpret_f32
          global.get 3
          i32.xor
          global.set 3
          global.get 1
          i64.xor
          global.set 1
          global.get 0
          i32.xor
          global.set 0
          i64.reinterpret_f64
          global.get 2
          i64.xor
          global.set 2
          drop
        end
        global.get 1
        i64.xor
        global.set 1
        global.get 0
        i32.xor
        global.set 0
        i64.reinterpret_f64
        global.get 2
        i64.xor
        global.set 2
        drop
        global.get 0
        i32.xor
        global.set 0
      end
      i64.reinterpret_f64
      global.get 2
      i64.xor
      global.set 2
      i32.reinterpret_f32
      global.get 3
      i32.xor
      global.set 3
      i64.const 4503599627370496
    end
    global.get 1
    i64.xor
    global.set 1
    global.get 0
    i32.xor
    global.set 0
    i64.reinterpret_f64
    global.get 2
    i64.xor
    global.set 2
    drop
    drop
    global.get 1
    i64.xor
    global.set 1
    i64.reinterpret_f64
    global.get 2
    i64.xor
    global.set 2
    ref.null func
    f32.const 0x1.3de896p+124 (;=2.64108e+37;))
  (func (;1;) (type 3) (result externref f64 i32 i64)
    (local f64 f64 f32 f32)
    global.get 4
    i32.eqz
    if  ;; label = @1
      unreachable
    end
    global.get 4
    i32.const 1
    i32.sub
    global.set 4
    call 1
    i64.eqz
    call 1
    f32.convert_i64_s
    block (result i32)  ;; label = @1
      ref.null func
      i32.const 4635768
      i64.const 530273376314315115
      i64.eqz
      i32.const 8388608
      f64.convert_i32_s
      f64.ceil
      local.tee 0
      f64.const nan (;=nan;)
      local.get 0
      local.get 0
      f64.eq
      select
      f64.sqrt
      local.tee 1
      f64.const nan (;=nan;)
      local.get 1
      local.get 1
      f64.eq
      select
      i32.trunc_sat_f64_s
      i32.le_s
      f32.reinterpret_i32
      f32.trunc
      local.tee 2
      f32.const nan (;=nan;)
      local.get 2
      local.get 2
      f32.eq
      select
      f32.sqrt
      local.tee 3
      f32.const nan (;=nan;)
      local.get 3
      local.get 3
      f32.eq
      select
      call 1
      i64.eqz
      i32.rem_u
      block  ;; label = @2
      end
      i32.eqz
      global.get 0
      i32.xor
      global.set 0
      i64.reinterpret_f64
      global.get 2
      i64.xor
      global.set 2
      drop
      i32.reinterpret_f32
      global.get 3
      i32.xor
      global.set 3
      global.get 0
      i32.xor
      global.set 0
      drop
      i32.const 262144
    end
    global.get 0
    i32.xor
    global.set 0
    i32.reinterpret_f32
    global.get 3
    i32.xor
    global.set 3
    global.get 0
    i32.xor
    global.set 0
    i64.reinterpret_f64
    global.get 2
    i64.xor
    global.set 2
    drop
    global.get 0
    i32.xor
    global.set 0
    i64.const 68719476735)
  (func (;2;) (type 1) (param funcref f32 i64) (result i64)
    (local externref f64 f32)
    global.get 4
    i32.eqz
    if  ;; label = @1
      unreachable
    end
    global.get 4
    i32.const 1
    i32.sub
    global.set 4
    f64.const -0x1.fffffffffffffp+0 (;=-2;)
    f64.trunc
    local.tee 4
    f64.const nan (;=nan;)
    local.get 4
    local.get 4
    f64.eq
    select
    ref.null func
    loop (result i64)  ;; label = @1
      global.get 4
      i32.eqz
      if  ;; label = @2
        unreachable
      end
      global.get 4
      i32.const 1
      i32.sub
      global.set 4
      i64.const -549755813889
    end
    local.tee 2
    i64.clz
    i64.eqz
    i64.extend_i32_s
    local.tee 2
    i64.ctz
    i64.clz
    f64.const 0x0p+0 (;=0;)
    i32.trunc_sat_f64_u
    if  ;; label = @1
      f64.const 0x1.fffffp-1054 (;=1.03613e-317;)
      nop
      i64.const 2251799813685248
      f32.convert_i64_u
      call 1
      i64.popcnt
      i64.extend16_s
      i64.clz
      loop  ;; label = @2
        global.get 4
        i32.eqz
        if  ;; label = @3
          unreachable
        end
        global.get 4
        i32.const 1
        i32.sub
        global.set 4
        loop  ;; label = @3
          global.get 4
          i32.eqz
          if  ;; label = @4
            unreachable
          end
          global.get 4
          i32.const 1
          i32.sub
          global.set 4
          call 1
          f64.convert_i64_u
          i32.trunc_sat_f64_u
          loop (result externref f64 i32 i64)  ;; label = @4
            global.get 4
            i32.eqz
            if  ;; label = @5
              unreachable
            end
            global.get 4
            i32.const 1
            i32.sub
            global.set 4
            call 1
            i64.extend8_s
            call 1
            f64.convert_i64_u
            call 1
            i64.extend8_s
            local.set 2
            if (result i64 i32 funcref)  ;; label = @5
              local.get 3
              block (result externref f64 i32 i64)  ;; label = @6
                nop
                f64.const -0x1.9d0f735efe9cfp-518 (;=-1.88034e-156;)
                i64.trunc_f64_s
                nop
                f32.convert_i64_u
                call 1
                block (result i64)  ;; label = @7
                  block (result externref f64 i32 i64)  ;; label = @8
                    local.get 0
                    ref.null func
                    f32.const 0x1.cp-147 (;=9.80909e-45;)
                    f64.promote_f32
                    local.get 3
                    call 1
                    local.tee 2
                    local.get 1
                    i32.trunc_f32_u
                    f32.reinterpret_i32
                    f32.trunc
                    local.tee 5
                    f32.const nan (;=nan;)
                    local.get 5
                    local.get 5
                    f32.eq
                    select
                    f32.neg
                    i32.const -1691698562
                    loop (result externref f64 i32 i64)  ;; label = @9
                      global.get 4
                      i32.eqz
                      if  ;; label = @10
                        unreachable
                      end
                      global.get 4
                      i32.const 1
                      i32.sub
                      global.set 4
                      ref.null extern
                      local.set 3
                      call 1
                      i64.ctz
                      i32.const 64
                      br_if 1 (;@8;)
                    end
                    global.get 1
                    i64.xor
                    global.set 1
                    global.get 0
                    i32.xor
                    global.set 0
                    i64.reinterpret_f64
                    global.get 2
                    i64.xor
                    global.set 2
                    drop
                    global.get 0
                    i32.xor
                    global.set 0
                    i32.reinterpret_f32
                    global.get 3
                    i32.xor
                    global.set 3
                    global.get 1
                    i64.xor
                    global.set 1
                    global.get 0
                    i32.xor
                    global.set 0
                    i64.reinterpret_f64
                    global.get 2
                    i64.xor
                    global.set 2
                    drop
                    drop
                    i64.reinterpret_f64
                    global.get 2
                    i64.xor
                    global.set 2
                    drop
                    drop
                    ref.null extern
                    f64.const 0x1.9ddf752dc90dp-967 (;=1.29605e-291;)
                    i32.const 250557782
                    i64.const 4
                  end
                  global.get 1
                  i64.xor
                  global.set 1
                  global.get 0
                  i32.xor
                  global.set 0
                  i64.reinterpret_f64
                  global.get 2
                  i64.xor
                  global.set 2
                  drop
                  i64.const 268435456
                end
                global.get 1
                i64.xor
                global.set 1
                global.get 1
                i64.xor
                global.set 1
                global.get 0
                i32.xor
                global.set 0
                i64.reinterpret_f64
                global.get 2
                i64.xor
                global.set 2
                drop
                i32.reinterpret_f32
                global.get 3
                i32.xor
                global.set 3
                ref.null extern
                f64.const 0x1p-895 (;=3.78577e-270;)
                i32.const 268435456
                i64.const 36028797018963967
              end
              global.get 1
              i64.xor
              global.set 1
              global.get 0
              i32.xor
              global.set 0
              i64.reinterpret_f64
              global.get 2
              i64.xor
              global.set 2
              drop
              drop
              i64.const 36028797018963967
              i32.const -67108865
              ref.null func
            else
              i64.const -35184372088833
              i32.const 1089187406
              ref.null func
            end
            drop
            global.get 0
            i32.xor
            global.set 0
            global.get 1
            i64.xor
            global.set 1
            i64.reinterpret_f64
            global.get 2
            i64.xor
            global.set 2
            drop
            i64.reinterpret_f64
            global.get 2
            i64.xor
            global.set 2
            global.get 0
            i32.xor
            global.set 0
            i64.reinterpret_f64
            global.get 2
            i64.xor
            global.set 2
            drop
          end
          global.get 1
          i64.xor
          global.set 1
          global.get 0
          i32.xor
          global.set 0
          i64.reinterpret_f64
          global.get 2
          i64.xor
          global.set 2
          drop
          global.get 0
          i32.xor
          global.set 0
          global.get 0
          i32.xor
          global.set 0
          i64.reinterpret_f64
          global.get 2
          i64.xor
          global.set 2
          drop
        end
      end
      global.get 1
      i64.xor
      global.set 1
      global.get 0
      i32.xor
      global.set 0
      i64.reinterpret_f64
      global.get 2
      i64.xor
      global.set 2
      drop
      i32.reinterpret_f32
      global.get 3
      i32.xor
      global.set 3
      i64.reinterpret_f64
      global.get 2
      i64.xor
      global.set 2
    end
    global.get 1
    i64.xor
    global.set 1
    drop
    i64.reinterpret_f64
    global.get 2
    i64.xor
    global.set 2
    i64.const 549755813887)
  (func (;3;) (type 2) (param funcref) (result funcref f32)
    (local f64 f64 f64 f64 f64)
    global.get 4
    i32.eqz
    if  ;; label = @1
      unreachable
    end
    global.get 4
    i32.const 1
    i32.sub
    global.set 4
    ref.null extern
    call 1
    i64.popcnt
    block (result i64 i32 funcref)  ;; label = @1
      f32.const 0x1.8dc184p-57 (;=1.07812e-17;)
      i32.trunc_f32_s
      i32.ctz
      f32.convert_i32_u
      i64.trunc_f32_s
      f64.const 0x1.27dfd095c21bcp+905 (;=3.12618e+272;)
      f64.ceil
      local.tee 1
      f64.const nan (;=nan;)
      local.get 1
      local.get 1
      f64.eq
      select
      call 1
      i64.clz
      i64.ctz
      f64.convert_i64_s
      f64.ceil
      local.tee 2
      f64.const nan (;=nan;)
      local.get 2
      local.get 2
      f64.eq
      select
      f64.floor
      local.tee 3
      f64.const nan (;=nan;)
      local.get 3
      local.get 3
      f64.eq
      select
      f64.const 0x1.p-1024 (;=5.56268e-309;)
      call 1
      local.get 0
      ref.is_null
      i32.popcnt
      loop (result i64 i32 funcref)  ;; label = @2
        global.get 4
        i32.eqz
        if  ;; label = @3
          unreachable
        end
        global.get 4
        i32.const 1
        i32.sub
        global.set 4
        call 1
        i32.wrap_i64
        i32.extend8_s
        local.get 0
        call 3
        br 0 (;@2;)
        f32.abs
        block  ;; label = @3
          br 1 (;@2;)
          call 1
          block (result externref f64 i32 i64)  ;; label = @4
            i64.const 7991191316054898886
            f64.const -0x1.fd7f066725204p+428 (;=-1.37956e+129;)
            block  ;; label = @5
            end
            i64.const 134217727
            i64.popcnt
            f32.convert_i64_s
            i32.reinterpret_f32
            f64.convert_i32_s
            f64.ceil
            local.tee 4
            f64.const nan (;=nan;)
            local.get 4
            local.get 4
            f64.eq
            select
            f64.trunc
            local.tee 5
            f64.const nan (;=nan;)
            local.get 5
            local.get 5
            f64.eq
            select
            local.get 0
            br 1 (;@3;)
            i32.const 16843009
            f64.convert_i32_u
            i64.trunc_sat_f64_u
            global.get 1
            i64.xor
            global.set 1
            drop
            i64.reinterpret_f64
            global.get 2
            i64.xor
            global.set 2
            i64.reinterpret_f64
            global.get 2
            i64.xor
            global.set 2
            global.get 1
            i64.xor
            global.set 1
            ref.null extern
            f64.const 0x1.26282fe6b1d2bp+1011 (;=2.52153e+304;)
            i32.const 2035575826
            i64.const 18014398509481983
          end
          global.get 1
          i64.xor
          global.set 1
          global.get 0
          i32.xor
          global.set 0
          i64.reinterpret_f64
          global.get 2
          i64.xor
          global.set 2
          drop
          global.get 1
          i64.xor
          global.set 1
          global.get 0
          i32.xor
          global.set 0
          i64.reinterpret_f64
          global.get 2
          i64.xor
          global.set 2
          drop
        end
        i32.reinterpret_f32
        global.get 3
        i32.xor
        global.set 3
        drop
        global.get 0
        i32.xor
        global.set 0
        global.get 0
        i32.xor
        global.set 0
        i64.reinterpret_f64
        global.get 2
        i64.xor
        global.set 2
        drop
        i64.const -7891049631330610830
        i32.const 1044373073
        ref.null func
      end
      drop
      global.get 0
      i32.xor
      global.set 0
      global.get 1
      i64.xor
      global.set 1
      global.get 0
      i32.xor
      global.set 0
      global.get 1
      i64.xor
      global.set 1
      global.get 0
      i32.xor
      global.set 0
      i64.reinterpret_f64
      global.get 2
      i64.xor
      global.set 2
      drop
      i64.reinterpret_f64
      global.get 2
      i64.xor
      global.set 2
      i64.reinterpret_f64
      global.get 2
      i64.xor
      global.set 2
      global.get 0
      i32.xor
      global.set 0
      i64.reinterpret_f64
      global.get 2
      i64.xor
      global.set 2
      drop
      i64.reinterpret_f64
      global.get 2
      i64.xor
      global.set 2
      i32.const 1413972841
      ref.null func
    end
    drop
    global.get 0
    i32.xor
    global.set 0
    global.get 1
    i64.xor
    global.set 1
    global.get 1
    i64.xor
    global.set 1
    global.get 0
    i32.xor
    global.set 0
    i64.reinterpret_f64
    global.get 2
    i64.xor
    global.set 2
    drop
    drop
    ref.null func
    f32.const 0x1.p-149 (;=1.4013e-45;))
  (global (;0;) (mut i32) (i32.const 0))
  (global (;1;) (mut i64) (i64.const 0))
  (global (;2;) (mut i64) (i64.const 0))
  (global (;3;) (mut i32) (i32.const 0))
  (global (;4;) (mut i32) (i32.const 300))
  (export "gs" (func 0))
  (export "" (func 1))
  (export "2" (func 2))
  (export "3" (func 3))
  (export "4" (global 0))
  (export "Z12u" (global 1))
  (export "H" (global 2))
  (export "\10\22" (global 3)))
