target "_common" {
  args       = { A = "common", B = "common" }
  labels     = { l = "common" }
  tags       = ["common"]
  platforms  = ["linux/amd64"]
  cache-from = ["type=registry,ref=example/cache", "example/other"]
  secret     = ["id=one,env=HOME"]
  output     = ["type=docker"]
  attest     = ["type=provenance,mode=min", "type=sbom,disabled=true"]
}
target "_more" {
  args            = { B = "more" }
  no-cache-filter = ["a", "b"]
  annotations     = ["index:org.example=more"]
}
target "default" {
  description = "all of it"
  inherits    = ["_common", "_more"]
  args        = { C = "own" }
  tags        = ["own"]
  cache-from  = ["type=registry,ref=example/own", "example/other"]
  attest      = [{ type = "provenance", mode = "max" }]
  pull        = true
  network     = "host"
  shm-size    = "128m"
  ulimits     = ["nofile=1024:1024"]
  extra-hosts = { host = "1.2.3.4" }
  entitlements = ["security.insecure"]
  call        = "check"
}
target "default" {
  args = { D = "again" }
}
