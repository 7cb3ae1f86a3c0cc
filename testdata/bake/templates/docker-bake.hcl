variable "LIST" { default = ["a", "b"] }
target "default" {
  dockerfile-inline = <<-EOT
    FROM scratch
      # indented ${upper("x")}
    %{ for one in LIST ~}
    LABEL ${one}="1"
    %{ endfor ~}
    ARG A=$${A}
  EOT
  args = {
    heredoc   = <<EOT
  kept "as it is" \n
EOT
    condition = "%{ if length(LIST) > 1 }many%{ else }one%{ endif }"
    escaped   = "a\tb\"c\u00e4 $${NOT} %%{NOT}"
    trimmed   = "x ${~ "y" ~} z"
    nested    = "${"in ${"side"}"}"
    splat     = join(",", [{ n = "1" }, { n = "2" }][*].n)
    legacy    = join(",", [{ n = "1" }, { n = "2" }].*.n)
    index     = LIST[1]
    dotted    = LIST.0
    object    = { "a b" = "c", (upper("k")) = "v" }["K"]
    filtered  = join(",", [for i, v in ["x", "y", "z"] : "${i}${v}" if i != 1])
    grouped   = jsonencode({ for v in ["aa", "ab", "ba"] : substr(v, 0, 1) => v... })
    logic     = !false && (1 < 2 || 2 >= 3) && "a" != "b"
    ternary   = true ? false ? "a" : "b" : "c"
  }
}
