group "default" { targets = ["inner", "c"] }
group "inner" {
  description = "some of it"
  targets     = ["a", "b"]
}
target "a" {}
target "b" {}
target "c" { dockerfile = "" }
group "again" { targets = ["inner", "default"] }
group "self" { targets = ["self", "a"] }
target "self" {}
