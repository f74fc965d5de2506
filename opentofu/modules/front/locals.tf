locals {
  hosts = { for name in keys(var.functions) : name => "${name}.${var.domain}" }
  paths = flatten([for function in var.functions : function.paths])

  paths_of_several = distinct([
    for path in local.paths : path if length([for other in local.paths : other if other == path]) > 1
  ])

  routes = merge([for name, function in var.functions : { for path in function.paths : path => name }]...)

  default_function = one([for name, function in var.functions : name if function.default_route])

  armored = anytrue([for function in var.functions : function.armor])
}
