package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
)

func (a *app) roleCommand() *cobra.Command {
	cmd := a.group("role", "Administer what accounts may do",
		"A role is a name for privileges: Login, ConfigureManager, ConfigureUsers,\n"+
			"ConfigureComponents and ConfigureSelf. Administrator, Operator and ReadOnly are built in.")
	cmd.AddCommand(
		a.roleList(),
		a.roleSet("add", "Add a role", func(ctx context.Context, api admin.API, r admin.Role) error {
			_, err := api.CreateRole(ctx, r)
			return err
		}),
		a.roleSet("change", "Give a role other privileges, in place of those it has", func(ctx context.Context, api admin.API, r admin.Role) error {
			_, err := api.ChangeRole(ctx, r)
			return err
		}),
		a.roleRemove(),
	)
	return cmd
}

// roleNames are the roles that an account may have, the three built-in ones first.
func (a *app) roleNames(cmd *cobra.Command) []string {
	names := []string{string(auth.Administrator), string(auth.Operator), string(auth.ReadOnly)}
	a.offer(cmd, func(ctx context.Context, api admin.API) {
		list, _ := api.Roles(ctx)
		for _, r := range list {
			if !r.Predefined {
				names = append(names, string(r.Name))
			}
		}
	})
	return names
}

// completeRoles lets the shell offer the values of --role.
func (a *app) completeRoles(cmd *cobra.Command) {
	err := cmd.RegisterFlagCompletionFunc("role", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return a.roleNames(cmd), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // the flag does not exist: a mistake in this package
	}
}

// completeOwnRoles offers the roles that are not built in.
func (a *app) completeOwnRoles(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.roleNames(cmd)[3:], cobra.ShellCompDirectiveNoFileComp
}

func (a *app) roleList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the roles", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				list, err := api.Roles(ctx)
				if err != nil {
					return err
				}
				return a.print(list, func(w io.Writer) {
					var rows [][]string
					for _, r := range list {
						kind := "custom"
						if r.Predefined {
							kind = "built in"
						}
						rows = append(rows, []string{string(r.Name), kind, r.Privileges.String()})
					}
					table(w, []string{"NAME", "KIND", "PRIVILEGES"}, rows)
				})
			})
		},
	}
}

func (a *app) roleSet(use, short string, do func(context.Context, admin.API, admin.Role) error) *cobra.Command {
	var names []string
	cmd := &cobra.Command{
		Use: use + " NAME --privilege PRIVILEGE...", Short: short, Args: exactly("NAME"), ValidArgsFunction: a.completeOwnRoles,
		RunE: func(cmd *cobra.Command, args []string) error {
			r := admin.Role{Name: auth.Role(args[0])}
			for _, name := range names {
				p, ok := auth.ParsePrivilege(name)
				if !ok {
					return usage("one of "+auth.AllPrivileges.String(), "unknown privilege %q", name)
				}
				r.Privileges |= p
			}
			if r.Privileges == 0 {
				return usage("for instance --privilege Login,ConfigureSelf", "--privilege is missing")
			}
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error { return do(ctx, api, r) })
		},
	}
	cmd.Flags().StringSliceVar(&names, "privilege", nil, "`PRIVILEGE` of the role; may be repeated, or several with commas")
	complete(cmd, "privilege", auth.AllPrivileges.Names()...)
	return cmd
}

func (a *app) roleRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Remove a role that no account has", Args: exactly("NAME"), ValidArgsFunction: a.completeOwnRoles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				return api.RemoveRole(ctx, auth.Role(args[0]))
			})
		},
	}
}
